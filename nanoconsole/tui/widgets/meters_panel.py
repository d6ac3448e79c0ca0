"""The machine's meters: a bar each where there is room, one line where there is not."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from nanoconsole.services.format import NOTHING, size
from nanoconsole.services.meters import Gpu, Meters

BAR = 12
HIGH = 0.9  # a share from which a meter is told as nearly full

Row = tuple[str, float | None, str]  # name, share in [0, 1], words


class MetersPanel(Widget):
    """Processors, memory, trainer, disk, GPUs."""

    _meters: Meters | None = None

    def show(self, meters: Meters | None) -> None:
        if meters != self._meters:
            grown = len(_rows(meters)) != len(_rows(self._meters))
            self._meters = meters
            self.refresh(layout=grown)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(_rows(self._meters))

    def render(self) -> Content:
        rows = _rows(self._meters)
        if self.size.height > 1 or len(rows) == 1:
            return Content("\n").join(_bar(row) for row in rows)
        return Content("  ").join(Content.assemble((f" {name} ", "$axis"), words) for name, _, words in rows)


def _rows(meters: Meters | None) -> list[Row]:
    if meters is None:
        return [("machine", None, "not measured yet")]
    memory = meters.memory_used / max(1, meters.memory_total)
    disk = 1 - meters.disk_free / max(1, meters.disk_total)
    rows: list[Row] = [
        ("cpu", meters.cpu, f"{meters.cpu:.0%} of {meters.cores} cores"),
        ("memory", memory, f"{size(meters.memory_used)} of {size(meters.memory_total)}"),
        ("disk", disk, f"{size(meters.disk_free)} free"),
    ]
    if meters.trainer_memory is not None:
        share = meters.trainer_memory / max(1, meters.memory_total)
        rows.append(("trainer", share, f"{size(meters.trainer_memory)}, {meters.trainer_cpu or 0:.1f} cores"))
    return rows + [_gpu(index, gpu) for index, gpu in enumerate(meters.gpus)]


def _gpu(index: int, gpu: Gpu) -> Row:
    used = f"{size(gpu.used)} of {size(gpu.total)}" if gpu.used is not None else NOTHING
    busy = f"{gpu.utilisation:.0%}, " if gpu.utilisation is not None else ""
    watts = f", {gpu.watts:.0f} W" if gpu.watts is not None else ""
    return (f"gpu {index}", gpu.utilisation, f"{busy}{used}{watts}")


def _bar(row: Row) -> Content:
    """` cpu     ━━━━━━──────  52% of 2 cores`; nearly full ones say so with a mark, not by colour alone."""
    name, share, words = row
    if share is None:
        return Content.assemble((f" {name:<8}", "$axis"), words)
    filled = round(min(1.0, max(0.0, share)) * BAR)
    high = share >= HIGH
    colour = "$warning" if high else "$primary"
    parts = [(f" {name:<8}", "$axis"), ("━" * filled, colour), ("─" * (BAR - filled), "$envelope"), (f" {words}", "")]
    return Content.assemble(*parts, (" !" if high else "", "bold $warning"))
