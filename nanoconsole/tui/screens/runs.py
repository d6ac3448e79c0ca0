"""Runs, the home screen: every run of the roots, live, and what can be done with one or several of them."""

from __future__ import annotations

from dataclasses import replace

from textual.app import ComposeResult
from textual.content import Content
from textual.events import Resize
from textual.widgets import Input, Static

from nanoconsole.services.arrange import NEWEST, Arrangement
from nanoconsole.services.filter import FilterError, parse
from nanoconsole.services.listed import Listed, RunList
from nanoconsole.services.run_fields import Context, alert_counts
from nanoconsole.tui import keys
from nanoconsole.tui.run_upkeep import RunUpkeep
from nanoconsole.tui.run_words import FILTER_TERMS, detail, nothing, summary
from nanoconsole.tui.widgets.run_columns import shown
from nanoconsole.tui.widgets.run_table import Marks, RunTable
from nanoconsole.tui.widgets.value_input import ValueInput
from nanocore.runs.layout import RunFolder


class RunsScreen(RunUpkeep):
    """The list of runs."""

    SCOPE = "runs"
    ABOUT = (
        "All runs of the folder named at the top right, and of those that settings name under roots, newest first. The "
        "arrow beside the loss says where its newest values go, the blocks show its whole course. A selected run has a "
        "+, the baseline of comparisons a ◆. Training runs in processes of their own: leaving the console never ends it."
    )
    TERMS = {"In a filter (/)": FILTER_TERMS}
    CSS_PATH = "runs.tcss"
    BINDINGS = [*keys.bindings("runs")]

    def __init__(self) -> None:
        super().__init__()
        self._arrangement = Arrangement()
        self._before = ""  # the filter before it is edited
        self._fault = ""
        self._shown: list[Listed] = []
        self._growing = True  # runs are still to come

    def compose_body(self) -> ComposeResult:
        yield ValueInput(placeholder="filter: lr>1e-3 tag:x !has:eval/ce state:running OR preset:tiny*", id="filter", compact=True)  # fmt: skip
        yield Static(id="summary")
        yield RunTable()
        yield Static(id="empty")
        yield Static(id="detail")

    def on_mount(self) -> None:
        self.query_one("#filter").display = False
        self.query_one(RunTable).focus()
        self.console.listed_signal.subscribe(self, self._show)
        self.console.alerts_signal.subscribe(self, lambda _: self._again())
        self.app.theme_changed_signal.subscribe(self, lambda _: self._repaint())
        self._show(self.console.run_list)
        self.set_interval(30.0, lambda: self._show(self.console.run_list))  # "5m ago" grows older

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(lambda: self._show(self.console.run_list))

    def on_screen_resume(self) -> None:
        self._show(self.console.run_list)

    def _given(self) -> Context:
        return Context(self.console.clock(), alert_counts(self.console.alerts.alerts))

    def _show(self, runs: RunList) -> None:
        """Bring the screen to a list of runs."""
        if not self.is_current:
            return
        choice, there = self.console.choice, {run.run for run in runs.runs}
        if runs.read and not runs.unread:
            choice.drop([run for run in choice.compared() if run not in there])
        context = self._given()
        self._shown = self._arrangement.arranged(runs.runs, context)
        table, empty = self.query_one(RunTable), self.query_one("#empty", Static)
        marks = Marks(frozenset(choice.runs), choice.baseline, self._arrangement.sort, self._arrangement.reverse)
        table.display, empty.display = bool(self._shown), not self._shown
        table.show(self._shown, context, marks, growing=self._growing)
        self._growing = not runs.read or runs.unread > 0
        if not self._shown:
            empty.update(Content.assemble(nothing(runs, self._arrangement)))
        words = summary(runs, self._shown, self._arrangement, len(choice.runs), self._fault)
        self.query_one("#summary", Static).update(Content.assemble(words))
        self.query_one("#summary").display = bool(words.plain)
        self._tell_chosen()

    def _repaint(self) -> None:
        self.query_one(RunTable).forget()
        self._show(self.console.run_list)

    def _again(self) -> None:
        self._show(self.console.run_list)

    def on_run_table_moved(self) -> None:
        self._tell_chosen()

    def on_run_table_opened(self) -> None:
        self.action_open()

    def on_run_table_toggled(self) -> None:
        self._toggle()

    def on_run_table_sorted(self, event: RunTable.Sorted) -> None:
        """A click on a title sorts by it, and a second one the other way round."""
        reverse = event.sort == self._arrangement.sort and not self._arrangement.reverse
        self._arrangement = replace(self._arrangement, sort=event.sort, reverse=reverse)
        self._again()

    def action_open(self) -> None:
        if (run := self.chosen()) is not None:
            self.console.open_run(run)

    def action_move(self, rows: int) -> None:
        self.query_one(RunTable).move(rows)

    def action_page(self, pages: int) -> None:
        table = self.query_one(RunTable)
        table.move(pages * table.page())

    def action_select(self) -> None:
        self._toggle()
        self.query_one(RunTable).move(1)

    def _toggle(self) -> None:
        if (run := self.chosen()) is not None:
            self.console.choice.toggle(run)
            self._again()

    def action_select_all(self) -> None:
        """Select all that is shown; when all of it is, none of it."""
        choice, here = self.console.choice, [run.run for run in self._shown]
        if set(here) <= set(choice.runs):
            choice.runs = [run for run in choice.runs if run not in set(here)]
        else:
            choice.add(here)
        self._again()

    def action_baseline(self) -> None:
        if (run := self.chosen()) is not None:
            self.console.choice.pin(run)
            self._again()

    def action_compare(self) -> None:
        """Show the selected runs in Compare."""
        if not self.console.choice.runs and (run := self.chosen()) is not None:
            self.console.choice.toggle(run)
        self.console.action_show("compare")

    def action_sort(self, by: int) -> None:
        """Sort by the next column that is shown."""
        orders = [column.sort for column in shown(self.app.size.width) if column.sort]
        orders = [NEWEST, *(order for order in orders if order != NEWEST)]
        place = orders.index(self._arrangement.sort) if self._arrangement.sort in orders else 0
        self._arrangement = replace(self._arrangement, sort=orders[(place + by) % len(orders)], reverse=False)
        self._again()

    def action_reverse(self) -> None:
        self._arrangement = replace(self._arrangement, reverse=not self._arrangement.reverse)
        self._again()

    def action_archived(self) -> None:
        self._arrangement = replace(self._arrangement, archived=not self._arrangement.archived)
        self._again()

    def action_filter(self) -> None:
        line = self.query_one("#filter", Input)
        self._before = line.value
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed; one that cannot be understood leaves the list as it was, and says why."""
        try:
            measures = (
                {name for run in self.console.run_list.runs for name in run.measures} if "/" in event.value else ()
            )
            found, self._fault = parse(event.value, measures), ""
        except FilterError as error:
            self._fault = str(error)
        else:
            self._arrangement = replace(self._arrangement, filter=found)
            if found.config:
                self.console.follower.want_configs()
        event.input.set_class(bool(self._fault), "-bad")
        self._again()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if not self._fault:
            self._leave_filter(event.input)

    def _leave_filter(self, line: Input) -> None:
        line.display = bool(line.value)
        self.query_one(RunTable).focus()

    def step_out(self) -> bool:
        """Escape leaves the line as it was before, then the selection, then the filter."""
        line, choice = self.query_one("#filter", Input), self.console.choice
        if line.has_focus:
            line.value = self._before
            self._leave_filter(line)
        elif choice.runs:
            choice.runs = []
            self._again()
        elif line.value:
            line.value = ""
            self._leave_filter(line)
        else:
            return False
        return True

    def _listed(self) -> Listed | None:
        return self.query_one(RunTable).chosen

    def chosen(self) -> RunFolder | None:
        listed = self._listed()
        return listed.run if listed else None

    def chosen_state(self) -> str:
        listed = self._listed()
        return listed.summary.state if listed else ""

    def meant(self) -> list[Listed]:
        """The selected runs, those that are not shown too; else the one under the cursor."""
        selected = set(self.console.choice.runs)
        found = [run for run in self.console.run_list.runs if run.run in selected]
        listed = self._listed()
        return found or ([listed] if listed else [])

    def offers(self, action: str) -> bool:
        on_runs = ("open", "select", "compare", "tags", "archive", "delete", "sort(1)", "baseline")
        return super().offers(action) and (action not in on_runs or self.chosen() is not None)

    def key_label(self, key: keys.Key) -> str:
        several = len(self.console.choice.runs)
        if several > 1 and key.action in ("tags", "archive", "delete", "compare"):
            return f"{super().key_label(key)} {several}"
        return super().key_label(key)

    def _tell_chosen(self) -> None:
        """Under the table: state of the run under the cursor in words, and how it came to a bad end."""
        listed = self._listed()
        words = self.query_one("#detail", Static)
        words.display = listed is not None
        if listed is not None:
            words.update(Content.assemble(detail(listed)))
        self.refresh_keys()
