"""The course of a run's loss in a few characters: read from single lines of its file, at the same cost for any length."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import pairwise

from nanocore.runs.curve import newest_attempts, value
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import Record, decode

POINTS = 24
WINDOW = 1 << 11  # bytes read for one record; records are rarely longer than 1 KiB
WHOLE = 1 << 14  # a file up to this size is read as a whole
BLOCKS = "▁▂▃▄▅▆▇█"
BAD = "✕"


def course(run: RunFolder) -> tuple[float, ...]:
    """At most `POINTS` losses of a run, in order and evenly spaced in its file; nan and inf included."""
    records = newest_attempts(_sampled(run))
    losses = [loss for record in records if (loss := value(record, "loss/ce")) is not None]
    return tuple(losses) if len(losses) <= POINTS else tuple(_thinned(losses))


def spark(losses: Sequence[float], width: int) -> str:
    """Losses as block characters between their lowest and highest value; ✕ for one that is not finite."""
    shown = _thinned(losses, width)
    finite = [loss for loss in shown if math.isfinite(loss)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    return "".join(_block(loss, low, high) for loss in shown)


def _block(loss: float, low: float, high: float) -> str:
    if not math.isfinite(loss):
        return BAD
    share = (loss - low) / (high - low) if high > low else 0.0
    return BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))]


def _thinned(losses: Sequence[float], count: int = POINTS) -> list[float]:
    """At most `count` values; one that is not finite speaks for its part, else the newest of the part does."""
    if len(losses) <= count:
        return list(losses)
    cuts = [len(losses) * place // count for place in range(count + 1)]
    parts = [losses[start:stop] for start, stop in pairwise(cuts)]
    return [next((loss for loss in part if not math.isfinite(loss)), part[-1]) for part in parts]


def _sampled(run: RunFolder) -> list[Record]:
    """Records of the metrics file: all of a small one, else one from each of `POINTS` places and the last."""
    try:
        descriptor = os.open(run.metrics_file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        size = os.fstat(descriptor).st_size
        if size <= WHOLE:
            return decode(_whole_lines(os.pread(descriptor, size, 0), begun=True))[0]
        places = [place * (size - WINDOW) // (POINTS - 1) for place in range(POINTS)]
        lines = [_whole_lines(os.pread(descriptor, WINDOW, place), begun=not place) for place in places]
    except OSError:
        return []
    finally:
        os.close(descriptor)
    return decode(b"".join([*(line.partition(b"\n")[0] + b"\n" for line in lines[:-1] if line), lines[-1]]))[0]


def _whole_lines(block: bytes, *, begun: bool) -> bytes:
    """The whole lines of a block; its first one is cut unless the block `begun` with it."""
    start = 0 if begun else block.find(b"\n") + 1
    return block[start : block.rfind(b"\n") + 1] if start or begun else b""
