"""Layers of a run, measured: invented records with what a reader must see in them."""

from __future__ import annotations

import math

from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter

PLACES = ("attention", "feed_forward")


def lay_layers(run: RunFolder, measurements: int = 12, layers: int = 4) -> None:
    """Streams, ternary codes, updates and experts of every layer; one gain is out of range, one not finite."""
    writer = RecordWriter(run.layers_file)
    for place in range(measurements):
        stamp = {"step": max(1, 20 * place), "attempt": 1, "time": 1.0}
        for layer in range(layers):
            for number, name in enumerate(PLACES):
                gain = 1.0 + 0.02 * place * (layer + number / 2)
                if (layer, number, place) == (3, 1, measurements - 2):
                    gain = 4.5
                if (layer, number, place) == (1, 0, measurements // 2):
                    gain = math.nan
                row = {
                    "gain": gain,
                    "stream_cosine": 0.9 - place / 40 - layer / 20,
                    "alpha": [0.01, 0.02 + place / 100, 0.03],
                }
                writer.write({**stamp, "kind": "streams", "name": f"blocks.{layer}.{name}", **row})
            matrix = f"blocks.{layer}.attention.query.weight"
            flips = {"flip_fraction": 0.1 / (1 + place)} if place else {}
            writer.write(
                {
                    **stamp,
                    "kind": "ternary",
                    "name": matrix,
                    "zero_fraction": 0.31 + layer / 100,
                    "scale": 0.03,
                    **flips,
                }
            )
            norm = 0.5 * 0.8**place * (layer + 1)
            writer.write(
                {**stamp, "kind": "matrix", "name": matrix, "gradient_norm": norm, "update_ratio": 1e-3 / (1 + place)}
            )
        loads = [0.25 + place / 100, 0.25 - place / 100, 0.3, 0.2]
        facts = {"fractions": loads, "max_violation": 4 * max(loads) - 1, "entropy": 1.3}
        writer.write({**stamp, "kind": "moe", "name": "blocks.0.feed_forward.router", **facts})
    writer.close()
