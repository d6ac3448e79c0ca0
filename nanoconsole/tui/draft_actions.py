"""What can be done with the draft of Launch: launch, queue, resume, save, compare. Nothing here waits in the interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nanoconsole.services import saving
from nanoconsole.services.draft import Draft
from nanoconsole.tui.draft_name import DraftName
from nanoconsole.tui.messages import RunLaunched
from nanoconsole.tui.screens.enqueue import EnqueueScreen, Order
from nanoconsole.tui.screens.queue import QueueScreen
from nanoconsole.tui.screens.save import SaveScreen
from nanoconsole.tui.widgets.form import Form
from nanocore.errors import NanoError
from nanocore.runs.layout import RunFolder

if TYPE_CHECKING:
    from nanocore.config.schema import Config
    from nanocore.runs.create import Parent


class DraftActions(DraftName):
    """Actions on the shown draft."""

    _launching = False

    def saved(self, target: str) -> None:
        """A draft was saved under a name or path."""
        raise NotImplementedError

    def offers(self, action: str) -> bool:
        return super().offers(action) and (action != "resume" or bool(self.draft and self.draft.run))

    def _usable(self, what: str) -> Draft | None:
        """The draft when it has no fault; says so when it has."""
        self.settle()
        if self.draft is None or self.draft.config is None:
            self.console.say(f"it cannot be {what}: see its faults", "error")
            return None
        return self.draft

    # Launching

    def action_launch(self) -> None:
        """Start a run with the configuration shown; the interface goes on meanwhile."""
        draft = self._usable("launched")
        if draft is not None and not self._launching:
            self._launching = True
            name, origin, root = self.name_line.value.strip(), self.origin, self.root
            taken = draft.snapshot()
            self.run_worker(lambda: self._start(taken, name, origin, root), thread=True, group="launch")

    def _start(self, draft: Draft, name: str, origin: str, root: Path) -> None:
        from nanoconsole.services import launcher
        from nanoconsole.services.room import room_note

        assert draft.config is not None
        try:
            parent = _parent(root, origin, [draft.config])
            if note := room_note(draft.config, root):
                self.console.say(note, "warning")
            launched = launcher.launch(draft.config, root=root, preset=label(draft), name=name, parent=parent)
        except NanoError as error:
            self.console.say(str(error), "error")
        else:
            self.app.call_from_thread(self._started, launched.run)
        finally:
            self._launching = False

    def _started(self, run: RunFolder) -> None:
        self.begin_anew()
        self.app.post_message(RunLaunched(run))
        self.console.follower.look()

    def action_resume(self) -> None:
        """Let the run that the draft was opened from go on, with the changes that a resume may make."""
        draft = self._usable("resumed")
        if draft is None or draft.run is None:
            return
        run, sets = draft.run, changed_sets(draft)

        def start() -> str:
            from nanoconsole.services.launcher import restart

            launched = restart(run, sets)
            self.app.call_from_thread(self._started, run)
            return f"{run.name}: {launched.start}"

        self.guarded("launch", start)

    # The queue

    def action_queue(self) -> None:
        self.app.push_screen(QueueScreen(), self._watch)

    def _watch(self, run: str | None) -> None:
        if run is not None:
            self.console.open_run(RunFolder(self.console.root / run))

    def action_enqueue(self) -> None:
        draft = self._usable("queued")
        if draft is not None and self.elsewhere:
            what = "it begins with a run of another folder, which has a queue of its own; launch it"
            self.console.say(f"not queued: {what} ({self.console.keys.shown('launch.launch')})", "warning")
        elif draft is not None:
            name, stem, origin = self.name_line.value.strip(), stem_of(label(draft)), self.origin
            screen = EnqueueScreen(draft.edited, stem=stem, name=name, root=self.root, timings=list(self.timings))
            self.app.push_screen(screen, lambda order: self._enqueue(label(draft), origin, order))

    def _enqueue(self, preset: str, origin: str, order: Order | None) -> None:
        if order is None:
            return
        root = self.root

        def put() -> str:
            from nanoconsole.services.launcher import enqueue

            parent = _parent(root, origin, [each.config for each in order.wanted])
            wanted = [replace(each, parent=parent) for each in order.wanted]
            made = enqueue(
                wanted, root=root, preset=preset,
                slots=order.slots, stop_on_failure=order.stop_on_failure, restarts=order.restarts,
            )  # fmt: skip
            self.app.call_from_thread(self.begin_anew)
            self.console.follower.look()
            return f"{made[0].name} waits in the queue" if len(made) == 1 else f"{len(made)} runs wait in the queue"

        self.guarded("enqueue", put)

    # Saving

    def action_save(self) -> None:
        """Save the file that is edited, or the draft under a name."""
        draft = self._usable("saved")
        if draft is not None and draft.is_file:
            self._save_file(draft)
        elif draft is not None:
            self.action_save_as()

    def action_save_as(self) -> None:
        draft = self._usable("saved")
        if draft is not None:
            self.app.push_screen(SaveScreen(*saving.proposal(draft)), lambda answer: self._save_as(draft, answer))

    def _save_file(self, draft: Draft) -> None:
        try:
            draft.save()
        except NanoError as error:
            self.console.say(str(error), "error")
        else:
            self.console.say(f"saved {draft.path}")
            self.saved(draft.target)

    def _save_as(self, draft: Draft, answer: tuple[str, str] | None) -> None:
        if answer is None:
            return
        try:
            path = saving.save_as(draft, *answer)
        except NanoError as error:
            self.console.say(str(error), "error")
            return
        self.console.say(f"saved {path}")
        draft.forget()
        self.saved(str(path) if saving.is_path(answer[0]) else answer[0])

    def action_forget(self) -> None:
        """Drop all changes, those of the text too."""
        if self.draft is not None:
            self.draft.forget()
            self.query_one(Form).rearrange()
            self.draft_changed()


def _parent(root: Path, origin: str, configs: Sequence[Config]) -> Parent | None:
    """The checkpoint RUN@STEP that runs begin with. Raises UsageError or CheckpointError when one of them cannot."""
    from nanoconsole.services import launcher
    from nanocore.config.toml import load
    from nanocore.runs.layout import find_run

    if not origin:
        return None
    parent, _ = launcher.fork_point(root, origin)
    before = load(find_run(root, parent.run).config_file)
    for config in configs:
        launcher.check_fork(config, before, parent)
    return parent


def label(draft: Draft) -> str:
    """What new runs of a draft are named after: its preset, a file's name, or the preset that a run came from."""
    if draft.run is not None:
        from nanocore.runs.facts import read_facts

        return read_facts(draft.run).preset or draft.run.name
    return Path(draft.target).name if draft.is_file else draft.target


def stem_of(preset: str) -> str:
    """A label as the beginning of a run's name."""
    from nanocore.runs.create import stem

    return stem(preset)


def changed_sets(draft: Draft) -> list[str]:
    """The changes of a draft as `--set` takes them."""
    from nanocore.config.literals import literal

    return [f"{key}={literal(draft.value(key))}" for key in draft.touched]
