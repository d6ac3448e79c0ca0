"""Runs, the home screen: every run of the root, live, and what can be done with the one under the cursor."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.events import Resize
from textual.widgets import DataTable, Static

from nanoconsole.services.tailer import Listed, RunList
from nanoconsole.tui import keys
from nanoconsole.tui.run_actions import RunActions
from nanoconsole.tui.theme import look
from nanoconsole.tui.widgets.run_table import RunTable
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line


class RunsScreen(RunActions):
    """The list of runs."""

    SCOPE = "runs"
    ABOUT = (
        "All runs of the folder named at the top right, newest first. The arrow beside the loss says where "
        "its newest values go. Training runs in processes of their own: leaving the console never ends it."
    )
    CSS_PATH = "runs.tcss"
    BINDINGS = [*keys.bindings("runs")]

    def compose_body(self) -> ComposeResult:
        yield RunTable()
        yield Static(id="empty")
        yield Static(id="detail")

    def on_mount(self) -> None:
        self.console.listed_signal.subscribe(self, self._show)
        self.app.theme_changed_signal.subscribe(self, lambda _: self._repaint())
        self._show(self.console.run_list)
        self.set_interval(30.0, lambda: self._show(self.console.run_list))  # "5m ago" grows older

    def on_resize(self, event: Resize) -> None:
        self._show(self.console.run_list)

    def on_screen_resume(self) -> None:
        self._show(self.console.run_list)

    def _show(self, runs: RunList) -> None:
        table = self.query_one(RunTable)
        table.display = bool(runs.runs)
        empty = self.query_one("#empty", Static)
        empty.display = not runs.runs
        if runs.runs:
            table.show(runs.runs, self.app.size.width, self.console.clock())
        else:
            empty.update(_nothing(runs))
        self._tell_chosen()

    def _repaint(self) -> None:
        self.query_one(RunTable).forget()
        self._show(self.console.run_list)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._tell_chosen()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.action_open()

    def action_open(self) -> None:
        if (run := self.chosen()) is not None:
            self.console.open_run(run)

    def _listed(self) -> Listed | None:
        name = self.query_one(RunTable).chosen
        return next((listed for listed in self.console.run_list.runs if listed.summary.name == name), None)

    def chosen(self) -> RunFolder | None:
        listed = self._listed()
        return RunFolder(self.console.root / listed.summary.name) if listed else None

    def chosen_state(self) -> str:
        listed = self._listed()
        return listed.summary.state if listed else ""

    def offers(self, action: str) -> bool:
        return super().offers(action) and (action != "open" or self.chosen() is not None)

    def _tell_chosen(self) -> None:
        """Under the table: state of the run under the cursor in words, and how it came to a bad end."""
        listed = self._listed()
        detail = self.query_one("#detail", Static)
        detail.display = listed is not None
        if listed is not None:
            detail.update(_detail(listed))
        self.refresh_keys()


def _detail(listed: Listed) -> Content:
    run = listed.summary
    style = look(run.state)
    phase = f" ({run.phase})" if run.alive and run.phase not in ("", run.state, "training") else ""
    reason = run.message
    words = reason if run.state in reason else f"{run.state}{phase}" + (f": {reason}" if reason else "")
    parts = [(f"{style.mark} ", f"${style.colour}"), (run.name, "bold"), (f"  {words}", "$foreground")]
    if run.preset:
        parts.append((f"  preset {run.preset}", "$axis"))
    if listed.last_words and listed.last_words not in words:
        parts.append((f"\nits log ends: {listed.last_words}", "$axis"))
    return Content.assemble(*parts)


def _nothing(runs: RunList) -> Content:
    """The page of an empty root: what this is, and which key to press."""
    if not runs.read:
        return Content.styled(f"Reading {sanitize_line(str(runs.root))} …", "$axis")
    if runs.problem:
        return Content.assemble(("The runs cannot be listed\n\n", "bold $error"), sanitize_line(runs.problem))
    return Content.assemble(
        ("No runs yet\n\n", "bold"),
        ("l", "bold $accent"),
        " then ",
        ("enter", "bold $accent"),
        " trains the small preset on this computer's Python library.\n",
        ("l", "bold $accent"),
        " alone shows all presets and lets you change everything first.\n\n",
        (f"Runs are kept in {sanitize_line(str(runs.root))}", "$axis"),
    )
