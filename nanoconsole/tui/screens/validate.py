"""Validate: checks that the parts compute what they should, live."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.format import duration
from nanoconsole.services.validation import Check, Order, Validation, Validator
from nanoconsole.tui import keys
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.theme import Look

LOOKS = {
    "waiting": Look("○", "axis"),
    "running": Look("◐", "primary"),
    "passed": Look("✓", "success"),
    "failed": Look("✗", "error"),
    "not run": Look("–", "warning"),
}
NAME_WIDTH, INDENT, LABEL = 13, 6, 10
FIGURE = 34  # the column in which a check's figure begins


class ValidateScreen(ConsoleScreen):
    """A list of checks that a worker process runs; nothing runs until it is asked for."""

    SCOPE = "validate"
    ABOUT = (
        "Proof on this machine that the whole pipeline works: each check computes something for real and compares it "
        "with what must come out. nanoconsole validate is the same without a screen; its exit code stands in the head. "
        "A check that cannot run here says why, and never counts as passed."
    )
    CSS_PATH = "validate.tcss"
    BINDINGS = [*keys.bindings("validate")]

    class Told(Message):
        """The worker answered."""

        def __init__(self, now: Validation) -> None:
            super().__init__()
            self.now = now

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, ValidateScreen.Told)

    def __init__(self) -> None:
        super().__init__()
        self._validator = Validator(self._tell)
        self._now = self._validator.now
        self._open: set[str] = set()
        self._selected: list[str] = []
        self._full = False

    def compose_body(self) -> ComposeResult:
        yield Static(id="validate-head")
        yield OptionList()

    def on_mount(self) -> None:
        checks = self.query_one(OptionList)
        checks.add_options([Option(self._row(check)) for check in self._now.checks])
        checks.highlighted = 0
        checks.focus()
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_unmount(self) -> None:
        self._validator.stop()

    def _tell(self, now: Validation) -> None:
        """In the worker's thread."""
        self.post_message(self.Told(now))

    def on_validate_screen_told(self, message: Told) -> None:
        before, self._now = self._now, message.now
        for old, check in zip(before.checks, self._now.checks, strict=True):
            if check.state == "failed" and old.state != "failed":
                self._open.add(check.name)  # what is wrong needs no key press
        self._draw()

    def _draw(self) -> None:
        checks = self.query_one(OptionList)
        for place, check in enumerate(self._now.checks):
            checks.replace_option_prompt_at_index(place, self._row(check))
        self.query_one("#validate-head", Static).update(_head(self._now, self._full))
        self.refresh_keys()

    def _row(self, check: Check) -> Content:
        idle = check.state == "waiting" and not (self._now.running and check.name in self._now.asked)
        shown, state = LOOKS[check.state], "" if idle else check.state  # what nobody asked for waits for nothing
        ran = check.state in ("passed", "failed")
        selected = check.name in self._selected
        line = Content.assemble(
            ("▌" if selected else " ", "bold $accent"),
            (f"{shown.mark} ", f"bold ${shown.colour}"),
            (f"{check.name:<{NAME_WIDTH}}", "bold"),
            (f"{state:<8}", f"${shown.colour}"),
            (f"{check.seconds:6.2f} s  " if ran else " " * 10, "$axis"),
            (_hanging(check.figure, self.size.width), "$value"),
        )
        return (
            Content("\n").join([line, *_details(check, self.size.width - INDENT - 3)])
            if check.name in self._open
            else line
        )

    # What can be done

    def offers(self, action: str) -> bool:
        if action in ("run", "run_one", "full"):
            return not self._now.running
        if action == "stop":
            return self._now.running
        return action != "next_failure" or self._now.count("failed") > 0

    def main_action(self) -> str:
        return "stop" if self._now.running else "run"

    def _chosen(self) -> Check:
        return self._now.checks[self.query_one(OptionList).highlighted or 0]

    def on_option_list_option_selected(self) -> None:
        self.action_expand()

    def action_expand(self) -> None:
        self._open ^= {self._chosen().name}
        self._draw()

    def action_expand_all(self) -> None:
        names = {check.name for check in self._now.checks}
        self._open = set() if self._open == names else names
        self._draw()

    def action_select(self) -> None:
        name, checks = self._chosen().name, self.query_one(OptionList)
        self._selected = [each for each in self._selected if each != name] + [name] * (name not in self._selected)
        self._draw()
        checks.highlighted = min((checks.highlighted or 0) + 1, len(self._now.checks) - 1)

    def action_run(self) -> None:
        self._validator.start(Order(tuple(self._selected), self._full))

    def action_run_one(self) -> None:
        self._validator.start(Order((self._chosen().name,), self._full))

    def action_full(self) -> None:
        self._full = not self._full
        self._draw()

    def action_stop(self) -> None:
        if self._now.running:
            self.run_worker(self._validator.stop, thread=True, group="stop validation")

    def action_next_failure(self) -> None:
        checks, count = self.query_one(OptionList), len(self._now.checks)
        after = [((checks.highlighted or 0) + 1 + place) % count for place in range(count)]
        found = next((place for place in after if self._now.checks[place].state == "failed"), None)
        if found is not None:
            checks.highlighted = found


def _head(now: Validation, full: bool) -> Content:
    """How far the checks are, or how they ended; `full` says how the next ones run."""
    length = ("  full", "bold $accent") if full else ("", "")
    if now.running:
        ended = len(now.asked) - sum(
            check.state in ("waiting", "running") for check in now.checks if check.name in now.asked
        )
        names = [check.name for check in now.checks if check.state == "running"]
        told = (f"  {ended} of {len(now.asked)} ended", "$axis")
        return Content.assemble(("◐ ", "bold $primary"), (", ".join(names) or "loading torch", "bold"), told, length)
    code = now.exit_code
    if code is None:
        return Content.assemble(
            ("Nothing was checked yet  ", "bold"), ("r", "bold $accent"), " runs all checks.", length
        )
    mark, colour = _verdict(now)
    counts = ", ".join(f"{now.count(state)} {state}" for state in ("passed", "failed", "not run") if now.count(state))
    took = duration(sum(check.seconds for check in now.checks))
    stopped = ("  stopped", f"bold ${colour}") if now.stopped else ("", "")
    problem = (f"  {now.problem}", "$error") if now.problem else ("", "")
    return Content.assemble(
        (f"{mark} exit {code}", f"bold ${colour}"), stopped, (f"  {counts} in {took}", "$axis"), problem, length
    )


def _verdict(now: Validation) -> tuple[str, str]:
    """Mark and colour of how checks ended. A tick takes all of them: where they were stopped there is none."""
    if now.exit_code == 0:
        return "✓", "success"
    return ("–", "warning") if now.stopped and not now.count("failed") else ("✗", "error")


def _hanging(figure: str, width: int) -> str:
    """A figure in as many lines as it needs, each below the first's beginning."""
    return f"\n{' ' * FIGURE}".join(wrap(figure, max(20, width - FIGURE - 3)))


def _details(check: Check, room: int) -> list[Content]:
    """What a check proves, and what came of it, in lines of `room` columns behind the indent."""
    found = [("", check.about, "$axis"), ("holds if", check.holds, "$axis")]
    if check.meaning:
        found.append(("", check.meaning, "$foreground"))
    if check.state == "failed":
        found += [
            ("observed", check.observed, "$error"),
            ("expected", check.expected, "$foreground"),
            ("look at", check.where, "$accent"),
        ]
    return [line for label, text, style in found for line in _lines(label, text, style, room)]


def _lines(label: str, text: str, style: str, room: int) -> Iterator[Content]:
    """A text behind its label, later lines under the first one."""
    width = LABEL if label else 0
    for place, line in enumerate(wrap(text, max(20, room - width))):
        yield Content.assemble(" " * INDENT, (f"{'' if place else label:<{width}}", "$axis"), (line, style))
