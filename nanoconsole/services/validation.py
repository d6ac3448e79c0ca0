"""The checks of `validate` as a worker reports them: what waits, what holds, what does not, and the exit code of it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, cast

from nanocore.errors import NanoError
from nanocore.runs.text import sanitize_line
from nanocore.validation.catalog import CHECKS

if TYPE_CHECKING:
    from nanoconsole.services.workers import Worker

State = Literal["waiting", "running", "passed", "failed", "not run"]
STATES: tuple[State, ...] = ("waiting", "running", "passed", "failed", "not run")
FAILED, INTERRUPTED = 3, 130  # exit codes where a check did not hold, and where the user ended the checks
LONGEST = 300  # characters of a text of the worker


@dataclass(frozen=True)
class Check:
    """One check. `about` says what it proves, `holds` when it does, `where` where to look when it does not.

    `figure` and `meaning` tell what was found, `meaning` alone why it was not run; `observed` and `expected` are of one
    that failed. Every text is one safe line.
    """

    name: str
    about: str
    holds: str
    where: str
    state: State = "waiting"
    seconds: float = 0.0
    figure: str = ""
    meaning: str = ""
    observed: str = ""
    expected: str = ""


@dataclass(frozen=True)
class Validation:
    """All checks, in order, and the names of those last asked for.

    `running` while a worker is at them; `problem` says why it ended before its time, `stopped` that the user ended it.
    """

    checks: tuple[Check, ...] = tuple(Check(entry.name, entry.about, entry.holds, entry.where) for entry in CHECKS)
    asked: frozenset[str] = frozenset()
    running: bool = False
    problem: str = ""
    problem_code: int = 1
    stopped: bool = False

    def count(self, state: State) -> int:
        return sum(check.state == state for check in self.checks)

    @property
    def exit_code(self) -> int | None:
        """0 when every check that ran holds, 3 when one does not, else that of the problem; 130 where the user ended them.

        None where nothing is known yet. Checks that were not asked for stay waiting and count for nothing; one that was
        not run never counts as passed.
        """
        if self.running or not (self.problem or self.count("passed") + self.count("failed") + self.count("not run")):
            return None
        if self.stopped:
            return INTERRUPTED
        if self.count("failed"):
            return FAILED
        return self.problem_code if self.problem else 0

    def begun(self, only: Sequence[str] = ()) -> Validation:
        """A new run: the chosen checks wait again, all where none is chosen; of others the last result stays."""
        asked = frozenset(only) or frozenset(check.name for check in self.checks)
        checks = (
            Check(check.name, check.about, check.holds, check.where) if check.name in asked else check
            for check in self.checks
        )
        return Validation(tuple(checks), asked, running=True)

    def told(self, answer: Mapping[str, Any]) -> Validation:
        """After one more answer of the worker."""
        if answer.get("kind") == "done":
            return self._done()
        if answer.get("kind") == "error":
            code = answer.get("exit_code")
            message = sanitize_line(str(answer.get("message", "")), LONGEST) or "the worker ended without a reason"
            return self.ended(message, code if type(code) is int and code else 1)
        return replace(self, checks=tuple(_changed(check, answer) for check in self.checks))

    def ended(self, problem: str, code: int = 1) -> Validation:
        """The worker is gone before its time: what ran then was not run to its end."""
        running = [check.name for check in self.checks if check.state == "running"]
        return replace(self._cut(running, "the worker ended before it did"), problem=problem, problem_code=code)

    def halted(self) -> Validation:
        """The user ended the worker: what was asked for and has no result was not run."""
        return replace(self._cut(self._open(), "stopped"), stopped=True)

    def _done(self) -> Validation:
        """The worker has told all it will; a check that was asked for and has no result is a fault of it."""
        silent = self._open()
        more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
        problem = f"the worker gave no result of {silent[0]}{more}" if silent else ""
        return replace(self._cut(silent, "the worker gave no result of it"), problem=problem)

    def _open(self) -> list[str]:
        """Names of the checks that run, or were asked for and wait."""
        asked = (check for check in self.checks if check.state == "running" or check.name in self.asked)
        return [check.name for check in asked if check.state in ("waiting", "running")]

    def _cut(self, names: Sequence[str], why: str) -> Validation:
        """Nothing runs any more, and these checks were not run."""
        state = cast("State", "not run")
        checks = (replace(each, state=state, meaning=why) if each.name in names else each for each in self.checks)
        return replace(self, checks=tuple(checks), running=False)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        checks = [asdict(check) for check in self.checks if check.state != "waiting"]
        return {"schema": 1, "exit_code": self.exit_code, "problem": self.problem, "checks": checks}


def _changed(check: Check, answer: Mapping[str, Any]) -> Check:
    if answer.get("kind") != "check" or answer.get("name") != check.name or answer.get("state") not in STATES:
        return check
    words = {
        key: sanitize_line(str(answer.get(key, "")), LONGEST) for key in ("figure", "meaning", "observed", "expected")
    }
    seconds = answer.get("seconds")
    return replace(
        check,
        state=cast("State", answer["state"]),
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        **words,
    )


@dataclass(frozen=True)
class Order:
    """Which checks are wanted, all where none is named; `full` at length; `keep` a folder for the runs they make."""

    only: tuple[str, ...] = ()
    full: bool = False
    keep: Path | None = None

    def request(self) -> dict[str, Any]:
        """For the worker."""
        keep = None if self.keep is None else str(self.keep.expanduser().absolute())
        return {"verb": "validate", "only": list(self.only), "full": self.full, "keep": keep}


class Validator:
    """Runs checks in a worker; `tell` gets the new state after each of its answers, in another thread."""

    def __init__(self, tell: Callable[[Validation], None]) -> None:
        self._tell, self._worker = tell, cast("Worker | None", None)
        self.now = Validation()

    def start(self, order: Order) -> None:
        """Begin, unless checks run already."""
        if not self.now.running:
            self._see(self.now.begun(order.only))
            Thread(target=self._run, args=(order,), name="validation", daemon=True).start()

    def run(self, order: Order) -> Validation:
        """Run to the end in this thread."""
        self._see(self.now.begun(order.only))
        self._run(order)
        return self.now

    def stop(self) -> None:
        """End the worker; what has not ended counts as not run."""
        if self._worker is not None:
            self._worker.cancel()

    def _run(self, order: Order) -> None:
        from nanoconsole.services.workers import Worker

        try:
            self._worker = Worker(order.request())
        except (OSError, NanoError) as error:
            return self._see(self.now.ended(f"no worker could be started: {error}"))
        for answer in self._worker:
            self._see(self.now.told(answer))
        self._worker = None
        if self.now.running:  # it was stopped
            self._see(self.now.halted())
        return None

    def _see(self, now: Validation) -> None:
        self.now = now
        self._tell(now)
