"""The apps that `bench console` runs in a terminal: python -m nanoconsole.bench.probe empty|noted ROOT NOTES.

`empty` is a plain Textual app with the usual widgets, `noted` the console over a run root with
a clock beside it, which costs some processor time: it notes, as JSON lines in a file, what was shown when, and how long the
event loop was busy at a stretch (a frame is at most that long).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

BEAT = 0.01  # seconds between two looks at the clock


def empty() -> None:
    """An app with header, footer, table and log, as small as such a program can be."""
    from textual.app import App, ComposeResult
    from textual.widgets import DataTable, Footer, Header, Log, Static

    class Empty(App[None]):
        BINDINGS = [("y", "turn", "Turn"), ("q", "quit", "Leave")]

        def compose(self) -> ComposeResult:
            yield Header()
            yield DataTable()
            yield Static("READY off", id="said")
            yield Log()
            yield Footer()

        def on_mount(self) -> None:
            table = self.query_one(DataTable)
            table.add_columns("run", "state", "step", "loss")
            table.add_rows([(f"run-{index}", "finished", "100", "2.5") for index in range(5)])

        def action_turn(self) -> None:
            self.turned = not getattr(self, "turned", False)
            self.query_one("#said", Static).update(f"READY {'on' if self.turned else 'off'}")

    Empty().run()


def noted(root: Path, notes: Path) -> None:
    """The console, with a clock beside it."""
    from nanoconsole.services.settings import load
    from nanoconsole.tui import app
    from nanoconsole.tui.app import ConsoleApp
    from nanoconsole.tui.messages import RunSeen, RunsListed

    class Probed(ConsoleApp):
        CSS_PATH = Path(app.__file__).with_name("app.tcss")

        def on_mount(self) -> None:  # Textual calls that of ConsoleApp too
            self._file = notes.open("a", buffering=1)
            self._last, self._worst = time.monotonic(), 0.0
            self.set_interval(BEAT, self._beat)

        def _beat(self) -> None:
            now = time.monotonic()
            self._worst, self._last = max(self._worst, now - self._last - BEAT), now

        def note(self, **facts: object) -> None:
            self._beat()  # what kept the loop busy until now led to what is noted
            self._file.write(json.dumps({"at": time.monotonic(), "worst": self._worst, **facts}) + "\n")
            self._worst = 0.0

        def open_run(self, run, step=None) -> None:
            self.note(kind="opened")
            super().open_run(run, step)

        def on_runs_listed(self, message: RunsListed) -> None:
            facts = {"runs": len(message.runs.runs), "unread": message.runs.unread}
            if message.runs.read:
                self.call_later(lambda: self.call_after_refresh(lambda: self.note(kind="listed", **facts)))

        def on_run_seen(self, message: RunSeen) -> None:
            history, reading = message.update.history, message.update.reading
            facts = {"rows": history.rows, "bytes": history.nbytes, "reading": reading}
            self.call_later(lambda: self.call_after_refresh(lambda: self.note(kind="shown", **facts)))

    Probed(root, settings=load()).run()


def main() -> None:
    if sys.argv[1] == "empty":
        empty()
    else:
        noted(Path(sys.argv[2]), Path(sys.argv[3]))


if __name__ == "__main__":
    main()
