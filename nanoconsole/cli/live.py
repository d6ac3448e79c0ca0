"""The display of `--follow` and `watch` on a terminal: one progress bar, the newest measures, the last sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nanoconsole.cli.displays import alert_line, measure
from nanoconsole.services import format
from nanocore.runs.text import sanitize_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nanoconsole.cli.view import RunView
    from nanoconsole.services.alert_log import Alert

REDRAWS = 4  # a second
BAR_WIDTH = 32
STATE_STYLES = {"running": "green", "finished": "green", "paused": "yellow", "crashed": "red", "diverged": "red"}


class LiveDisplay:
    """Redraws in place. Every text is a `Text`, so that nothing in a name or sample is taken for markup."""

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(console=console or Console(), refresh_per_second=REDRAWS)
        self._notes: list[str] = []

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, view: RunView) -> None:
        self._live.update(draw(view, self._notes))

    def note(self, text: str) -> None:
        self._notes.append(sanitize_line(text))

    def warn(self, alert: Alert) -> None:
        self.note(f"▲ {alert_line(alert)}")


def draw(view: RunView, notes: list[str]) -> RenderableType:
    """The whole display for a view; at most about a dozen lines, so it fits any terminal."""
    parts: list[RenderableType] = [_head(view)]
    if view.step:
        parts.append(_bar(view))
    parts.append(Text(_measures(view)))
    parts += [Text(f"  │ {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in view.sample]
    parts += [Text(note, style="yellow") for note in notes[-3:]]
    return Group(*parts)


def _head(view: RunView) -> Text:
    style = STATE_STYLES.get(view.state.state, "cyan")
    head = Text.assemble((view.run.name, "bold"), "  ", (view.activity, style))
    return head.append(f"  {view.stall}", "red") if view.stall else head


def _bar(view: RunView) -> RenderableType:
    row = Table.grid(padding=(0, 2))
    total = f"step {view.step}/{view.steps}" if view.steps else f"step {view.step}"
    eta = Text(f"{format.duration(view.eta)} left") if view.eta is not None else Text("")
    row.add_row(ProgressBar(total=view.steps or None, completed=view.step, width=BAR_WIDTH), Text(total), eta)
    return row


def _measures(view: RunView) -> str:
    xz = f" bits/byte (xz -9: {format.number(view.xz)})" if view.xz is not None else " bits/byte"
    shown = (
        ("loss/ce", "loss", ""),
        ("eval/bits_per_byte", "held-out", xz),
        ("throughput/tokens_per_sec", "", " tok/s"),
        ("training/grad_norm", "gradient", ""),
    )
    values = [
        (name, measure(key, view.measures.get(key)), unit)
        for key, name, unit in shown
        if view.measures.get(key) is not None
    ]
    return "   ".join(f"{name} {value}{unit}".strip() for name, value, unit in values)
