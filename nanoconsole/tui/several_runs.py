"""What is done to all selected runs of the list, or to the one under the cursor where none is selected."""

from __future__ import annotations

from nanoconsole.services.listed import Listed
from nanoconsole.tui.run_actions import RunActions
from nanoconsole.tui.screens.delete import DeleteScreen
from nanoconsole.tui.screens.tags import Change, TagsScreen
from nanoconsole.tui.screens.trash import TrashScreen
from nanocore.runs.layout import RunFolder
from nanocore.runs.trash import Discarded, discarded


class SeveralRuns(RunActions):
    """Tags and notes, archive and trash."""

    def meant(self) -> list[Listed]:
        """The runs that an action means."""
        raise NotImplementedError

    def action_tags(self) -> None:
        runs = self.meant()

        def change(wanted: Change | None) -> None:
            if wanted is not None:
                self._note(runs, "noted", add=wanted.add, remove=wanted.remove, note=wanted.note)

        if runs:
            self.app.push_screen(TagsScreen(runs), change)

    def action_archive(self) -> None:
        """Archive runs; when all of them are, fetch them back."""
        runs = self.meant()
        archived = not all(run.notes.archived for run in runs)
        if runs:
            self._note(runs, "archived" if archived else "fetched from the archive", archived=archived)

    def action_delete(self) -> None:
        runs = self.meant()
        working = [run for run in runs if run.summary.alive or run.summary.state in ("starting", "elsewhere")]
        resting = [run for run in runs if run not in working]
        if resting:
            self.app.push_screen(DeleteScreen(resting, working), lambda sure: self._delete(resting) if sure else None)
        elif runs:
            self.console.say(f"not possible: {runs[0].label} is {runs[0].state}; stop it first", "warning")

    def _delete(self, runs: list[Listed]) -> None:
        folders = _folders(runs)

        def discard() -> str:
            from nanoconsole.services.batch import discard_all

            return discard_all(folders).told("moved to the trash")

        self._do(discard)

    def action_trash(self) -> None:
        """List the deleted runs of all roots in a thread, then let one be brought back."""
        console = self.console
        roots = list(dict.fromkeys(root.absolute() for root in (console.root, *console.settings.roots)))

        def find() -> None:
            found = sorted((run for root in roots for run in discarded(root)), key=lambda run: -run.deleted)
            self.app.call_from_thread(self.app.push_screen, TrashScreen(found, console.clock()), self._restore)

        self.run_worker(find, thread=True, group="trash")

    def _restore(self, run: Discarded | None) -> None:
        if run is None:
            return

        def restore() -> str:
            from nanoconsole.services.batch import restore_all

            return restore_all([run]).told(f"is back in {run.run}" if run.part else "is a run again")

        self._do(restore)

    def _note(self, runs: list[Listed], what: str, **changes: object) -> None:
        folders = _folders(runs)

        def note() -> str:
            from nanoconsole.services.batch import note_all

            return note_all(folders, **changes).told(what)

        self._do(note)


def _folders(runs: list[Listed]) -> list[RunFolder]:
    return [run.run for run in runs]
