"""The machine's meters: a bar each where there is room, one line where there is not."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.widget import Widget

from nanoconsole.services.format import NOTHING, size
from nanoconsole.services.meters import Gpu, Meters
from nanoconsole.tui.widgets.run_header import fit

LONGEST, SHORTEST = 12, 4  # cells of a bar
LABEL = 9  # cells before it
HIGH = 0.9  # a share from which a meter is told as nearly full


@dataclass(frozen=True)
class Meter:
    """One meter: share in [0, 1] (None: it has none), and words for it, in full and for where room is short."""

    name: str
    share: float | None
    words: str
    brief: str


class MetersPanel(Widget):
    """Processors, memory, trainer, disk, each GPU."""

    _meters: Meters | None = None

    def show(self, meters: Meters | None) -> None:
        if meters != self._meters:
            grown = len(_all(meters)) != len(_all(self._meters))
            self._meters = meters
            self.refresh(layout=grown)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(_all(self._meters))

    def render(self) -> Content:
        meters, room = _all(self._meters), self.size.width
        if self.size.height > 1 or len(meters) == 1:
            return Content("\n").join(_bar(meter, room) for meter in meters)
        full, brief = (
            [[(f" {meter.name} ", "$axis"), (f"{words} ", "")] for meter, words in zip(meters, said, strict=True)]
            for said in ([meter.words for meter in meters], [meter.brief for meter in meters])
        )
        fits = sum(len(text) for group in full for text, _ in group) <= room
        return fit(full if fits else brief, room)


def _all(meters: Meters | None) -> list[Meter]:
    if meters is None:
        return [Meter("machine", None, "not measured yet", "not measured yet")]
    memory = meters.memory_used / max(1, meters.memory_total)
    disk = 1 - meters.disk_free / max(1, meters.disk_total)
    used, free = size(meters.memory_used), size(meters.disk_free)
    found = [
        Meter("cpu", meters.cpu, f"{meters.cpu:.0%} of {meters.cores} cores", f"{meters.cpu:.0%}"),
        Meter("memory", memory, f"{used} of {size(meters.memory_total)}", used),
        Meter("disk", disk, f"{free} free", f"{free} free"),
    ]
    if meters.trainer_memory is not None:
        share = meters.trainer_memory / max(1, meters.memory_total)
        words = f"{size(meters.trainer_memory)}, {meters.trainer_cpu or 0:.1f} cores"
        found.append(Meter("trainer", share, words, words))
    return found + [_gpu(index, gpu) for index, gpu in enumerate(meters.gpus)]


def _gpu(index: int, gpu: Gpu) -> Meter:
    """What the driver tells: how busy, memory, power, temperature."""
    parts = [
        f"{gpu.utilisation:.0%}" if gpu.utilisation is not None else NOTHING,
        f"{size(gpu.used)} of {size(gpu.total)}" if gpu.used is not None else "",
        f"{gpu.watts:.0f} W" if gpu.watts is not None else "",
        f"{gpu.celsius:.0f} °C" if gpu.celsius is not None else "",
    ]
    brief = [parts[0], size(gpu.used) if gpu.used is not None else "", *parts[2:]]
    return Meter(f"gpu {index}", gpu.utilisation, ", ".join(filter(None, parts)), " ".join(filter(None, brief)))


def _bar(meter: Meter, room: int) -> Content:
    """` cpu     ━━━━━━──────  52% of 2 cores`; nearly full ones say so with a mark, not by colour alone."""
    if meter.share is None:
        return Content.assemble((f" {meter.name:<8}", "$axis"), meter.words)
    high = meter.share >= HIGH
    spare = room - LABEL - 1 - 2 * high
    words = meter.words if len(meter.words) + SHORTEST <= spare else meter.brief
    length = max(SHORTEST, min(LONGEST, spare - len(words)))
    filled = round(min(1.0, max(0.0, meter.share)) * length)
    colour = "$warning" if high else "$primary"
    parts = [("━" * filled, colour), ("─" * (length - filled), "$envelope"), (f" {words}", "")]
    return Content.assemble((f" {meter.name:<8}", "$axis"), *parts, (" !" if high else "", "bold $warning"))
