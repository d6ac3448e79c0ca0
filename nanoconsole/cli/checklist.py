"""How `validate` shows its checks: a list that redraws in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from nanoconsole.cli.output import tell

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.spinner import Spinner
    from rich.text import Text

    from nanoconsole.services.validation import Check, Validation

MARKS = {"passed": "✓", "failed": "✗", "not run": "–"}
STYLES = {"passed": "green", "failed": "bold red", "not run": "yellow"}
REDRAWS = 8  # a second
NAME_WIDTH = 12


class Checklist(Protocol):
    """Shows a validation after each answer of the worker, from its thread; a context that leaves the terminal in order."""

    def __enter__(self) -> Checklist: ...
    def __exit__(self, *exception: object) -> None: ...
    def show(self, now: Validation) -> None: ...


def choose(*, as_json: bool) -> Checklist:
    """The list that suits stdout; with JSON, whose document stands there alone at the end, none."""
    from nanoconsole.cli.terminal import draws

    if as_json:
        return Silent()
    return LiveChecklist() if draws() else Lines()


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, now: Validation) -> None:
        pass


class _Ended:
    """Which checks have ended since the last look."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def news(self, now: Validation) -> Iterator[Check]:
        for check in now.checks:
            if check.state in MARKS and check.name not in self._told:
                self._told.add(check.name)
                yield check


class Lines(Silent):
    """Each check when it has ended."""

    def __init__(self) -> None:
        self._ended = _Ended()

    def show(self, now: Validation) -> None:
        for check in self._ended.news(now):
            for line in lines_of(check):
                tell(line)


class LiveChecklist:
    """Ended checks scroll up as lines that stay; below them, redrawn in place, what runs, how many there are and the time.

    Every text is a `Text`, so that nothing in it is taken for markup.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console()
        self._ended, self._began = _Ended(), time.monotonic()
        self._now: Validation | None = None
        self._spinners: dict[str, Spinner] = {}  # kept: each goes on turning
        self._live = Live(console=self._console, refresh_per_second=REDRAWS, transient=True, get_renderable=self._below)

    def __enter__(self) -> LiveChecklist:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, now: Validation) -> None:
        for check in self._ended.news(now):
            first, *rest = lines_of(check)
            self._console.print(_styled(first, STYLES[check.state]), soft_wrap=True)
            for line in rest:
                self._console.print(_styled(line, "" if check.state == "failed" else "dim"), soft_wrap=True)
        self._now = now
        self._live.refresh()

    def _below(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        now = self._now
        if now is None or not now.running:
            return Text("")
        asked = [check for check in now.checks if check.name in now.asked]
        ended = sum(check.state in MARKS for check in asked)
        running = [check.name for check in asked if check.state == "running"]
        names = running or ([] if ended else ["loading torch"])
        count = f"{ended} of {len(asked)} checks, {time.monotonic() - self._began:.0f} s"
        return Group(*map(self._spinner, names), Text(count, style="dim"))

    def _spinner(self, name: str) -> Spinner:
        from rich.spinner import Spinner
        from rich.text import Text

        return self._spinners.setdefault(name, Spinner("dots", Text(name, "bold"), style="cyan"))


def _styled(line: str, style: str) -> Text:
    from rich.text import Text

    from nanocore.runs.text import sanitize

    return Text(sanitize(line), style=style)


def lines_of(check: Check) -> list[str]:
    """A check in words: one line, and below it what was found or what is wrong."""
    lines = [
        f"{MARKS[check.state]} {check.name:<{NAME_WIDTH}} {check.state:<7} {check.seconds:6.2f} s  {check.figure}".rstrip()
    ]
    if check.state == "failed":
        lines += [f"    observed  {check.observed}", f"    expected  {check.expected}", f"    look at   {check.where}"]
    elif check.meaning:
        lines.append(f"    {check.meaning}")
    return lines
