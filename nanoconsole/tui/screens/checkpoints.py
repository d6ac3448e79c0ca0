"""The checkpoints of a run, and what can be done with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from nanoconsole.services import checkpoints
from nanoconsole.services.checkpoints import Saved
from nanoconsole.services.format import age, number, size
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.widgets.bars import KeyBar
from nanocore.errors import NanoError
from nanocore.runs.layout import RunFolder

if TYPE_CHECKING:
    from nanoconsole.tui.app import ConsoleApp

LOOKS = {"unread": ("○", "axis"), "verified": ("✓", "success"), "damaged": ("✗", "error")}


@dataclass(frozen=True)
class Wish:
    """What is to be done with the checkpoint of a step."""

    action: Literal["chat", "fork", "export", "resume"]
    step: int


class CheckpointsScreen(Question[Wish | None]):
    """Dismissed with a wish, None for escape. Sizes are read first, then the hashes, one checkpoint after the other."""

    SCOPE = "checkpoints"
    CSS_PATH = "checkpoints.tcss"
    BINDINGS = [*keys.bindings("checkpoints")]

    def __init__(self, run: RunFolder, *, resumable: bool) -> None:
        super().__init__()
        self._run, self._resumable = run, resumable
        self._found: tuple[Saved, ...] | None = None

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.styled("Reading …", "$axis"), id="checkpoints-head", classes="dialog-title")
            yield OptionList()
            yield Static(id="checkpoints-detail")
        yield KeyBar()

    def on_mount(self) -> None:
        self._look()

    def _look(self) -> None:
        self.run_worker(self._read, thread=True, group="checkpoints", exclusive=True)

    def _read(self) -> None:
        """In a thread; ends when the dialog is closed."""
        worker, found = get_current_worker(), checkpoints.read(self._run)
        self.app.call_from_thread(self._show, found)
        for known in checkpoints.verified(found, lambda: not worker.is_cancelled):
            if not worker.is_cancelled:
                self.app.call_from_thread(self._show, known)

    def _show(self, found: tuple[Saved, ...]) -> None:
        if found == self._found or not self.is_mounted:
            return
        options, before = self.query_one(OptionList), self._chosen()
        self._found = found
        options.clear_options()
        now = self.console.clock()
        options.add_options([Option(_line(saved, now)) for saved in found])
        steps = [saved.step for saved in found]
        options.highlighted = (steps.index(before.step) if before and before.step in steps else 0) if found else None
        self.query_one("#checkpoints-head", Static).update(_head(self._run, found))
        self._tell()

    def _chosen(self) -> Saved | None:
        place = self.query_one(OptionList).highlighted
        return self._found[place] if self._found and place is not None and place < len(self._found) else None

    def on_option_list_option_highlighted(self) -> None:
        self._tell()

    def _tell(self) -> None:
        saved = self._chosen()
        self.query_one("#checkpoints-detail", Static).update(_detail(saved) if saved else Content(""))
        self.query_one(KeyBar).refresh()

    def offers(self, action: str) -> bool:
        saved = self._chosen()
        if action == "dismiss":
            return True
        if saved is None or (saved.state == "damaged" and action != "delete"):
            return False
        return action != "resume" or (self._resumable and saved.newest)

    # What can be done

    def _wish(self, action: Literal["chat", "fork", "export", "resume"]) -> None:
        saved = self._chosen()
        if saved is not None and self.offers(action):
            self.dismiss(Wish(action, saved.step))

    def on_option_list_option_selected(self) -> None:
        self._wish("chat")

    def action_chat(self) -> None:
        self._wish("chat")

    def action_fork(self) -> None:
        self._wish("fork")

    def action_export(self) -> None:
        self._wish("export")

    def action_resume(self) -> None:
        self._wish("resume")

    def action_delete(self) -> None:
        """Find out in a thread whether it may be deleted, then ask."""
        saved = self._chosen()
        if saved is None:
            return
        root, step = self._run.path.parent, saved.step

        def look() -> None:
            reason = checkpoints.refusal(root, self._run, step)
            if reason:
                self.console.say(f"step {step} stays: {reason}", "warning")
            else:
                self.app.call_from_thread(self._ask, step)

        self.run_worker(look, thread=True, group="delete checkpoint")

    def _ask(self, step: int) -> None:
        self.app.push_screen(DeleteCheckpoint(self._run.name, step), lambda sure: self._delete(step) if sure else None)

    def _delete(self, step: int) -> None:
        root = self._run.path.parent

        def delete() -> None:
            try:
                checkpoints.delete(root, self._run, step)
                self.console.say(f"deleted the checkpoint of step {step}")
            except NanoError as error:
                self.console.say(str(error), "error")
            self.app.call_from_thread(self._look)

        self.run_worker(delete, thread=True, group="delete checkpoint")


class DeleteCheckpoint(Question[bool]):
    """Dismissed with True to delete, False or None to keep."""

    SCOPE = "delete checkpoint"
    BINDINGS = [*keys.bindings("delete checkpoint")]

    def __init__(self, run: str, step: int) -> None:
        super().__init__()
        self._what = f"step {step:,} of {run}"

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(("Delete ", "bold"), (self._what, "bold $accent"), "?"), classes="dialog-title"
            )
            yield OptionList(
                Option(Content.styled("Keep it", "bold"), id="keep"),
                Option(Content.assemble(("Delete it", "bold"), ("  It cannot be brought back.", "$axis")), id="delete"),
            )
        yield KeyBar()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id == "delete")


def _head(run: RunFolder, found: tuple[Saved, ...]) -> Content:
    if not found:
        return Content.assemble(
            (run.name, "bold $accent"), "  has no checkpoint yet; ", ("k", "bold $accent"), " saves one now."
        )
    total = f"{len(found)} checkpoints, {size(sum(saved.bytes for saved in found))}"
    return Content.assemble(("Checkpoints of ", "bold"), (run.name, "bold $accent"), (f"  {total}", "$axis"))


def _line(saved: Saved, now: float) -> Content:
    mark, colour = LOOKS[saved.state]
    loss = number(saved.held_out) if saved.held_out is not None else ""
    return Content.assemble(
        (f"{mark} {saved.state:<9}", f"${colour}"),
        (f"{saved.step:>9,}  ", "bold"),
        (f"{loss:<7}", "$value"),
        ("★ best " if saved.best else " " * 7, "bold $accent"),
        (f"{'newest' if saved.newest else '':<8}", "$primary"),
        (f"{age(saved.created, now):<10}", "$axis"),
        (f"{size(saved.bytes):>9}", "$axis"),
    )


def _detail(saved: Saved) -> Content:
    if saved.problem:
        return Content.styled(f"✗ {saved.problem}", "$error")
    held = f"held-out loss {number(saved.held_out)} nats" if saved.held_out is not None else "not evaluated at its step"
    known = {"unread": "hashes not read yet", "verified": "every file agrees with its hash"}[saved.state]
    return Content.styled(f"{known}; {held}", "$axis")
