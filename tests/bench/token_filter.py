"""What token filtering saves: python -m tests.bench.token_filter [--keep 0.6] [--threads 2] [--rounds 5] [--widths 256 ...] [--dtype bfloat16].

At each width a model of two blocks trains on one batch without filter, with `head` and with `full`; rounds are interleaved.
Printed are the time of `loss.backward()` alone (the scores being given) and of the whole step, scoring included, as medians
and as shares of the unfiltered run measured beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict

import numpy as np
import torch

from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.data.batch import Batch
from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Goal
from nanocore.objective.micro_batch import micro_batches

MODES = ("off", "head", "full")
VOCABULARY, LENGTH, ROWS = 2048, 256, 8


def config(width: int, mode: str, keep: float, linear: str) -> Config:
    collider = {"mode": mode, "keep": keep} if mode != "off" else {}
    model = {
        "d_model": width, "n_layers": 2, "n_heads": max(1, width // 64), "n_kv_heads": max(1, width // 64),
        "d_ff": 3 * width, "context_length": LENGTH, "linear": linear,
    }  # fmt: skip
    return build({"model": model, "collider": collider, "training": {"batch_size": ROWS}})


def random_batch() -> Batch:
    generator = np.random.default_rng(0)
    tokens, targets = (generator.integers(0, VOCABULARY, (ROWS, LENGTH), dtype=np.int32) for _ in range(2))
    positions = np.tile(np.arange(LENGTH, dtype=np.int32), (ROWS, 1))
    return Batch(tokens, targets, positions, np.zeros_like(tokens))


def step(model: Transformer, batch: Batch, dtype: torch.dtype) -> tuple[float, float]:
    """Milliseconds of the backward pass, and of forward, scoring and backward together, computed as the trainer does."""
    model.zero_grad()
    (micro,) = micro_batches(batch, rank=0, world=1, accumulation=1, device=torch.device("cpu"))
    started = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        goal = Goal(model, model.config, batch, filtering=model.config.collider.mode != "off")
        loss = goal.terms(model(micro.tokens, positions=micro.positions), micro).loss
    middle = time.perf_counter()
    loss.backward()
    ended = time.perf_counter()
    return 1000 * (ended - middle), 1000 * (ended - started)


def measure(width: int, keep: float, rounds: int, linear: str, dtype: torch.dtype) -> list[dict[str, object]]:
    models, batch = {}, random_batch()
    for mode in MODES:
        models[mode] = Transformer(config(width, mode, keep, linear), VOCABULARY)
        models[mode].initialise(0)
        step(models[mode], batch, dtype)
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(rounds):
        for mode in MODES:
            times[mode].append(step(models[mode], batch, dtype))
    medians = {mode: [statistics.median(column) for column in zip(*times[mode], strict=True)] for mode in MODES}
    plain = medians["off"]
    return [
        {
            "width": width, "linear": linear, "dtype": str(dtype).removeprefix("torch."), "mode": mode, "backward_ms": round(backward, 1), "step_ms": round(whole, 1),
            "backward_share": round(backward / plain[0], 3), "step_share": round(whole / plain[1], 3),
        }
        for mode, (backward, whole) in medians.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=float, default=0.6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 256, 512, 768, 1024])
    parser.add_argument("--linear", choices=["ternary", "float"], default="ternary")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for width in arguments.widths:
        for row in measure(width, arguments.keep, arguments.rounds, arguments.linear, getattr(torch, arguments.dtype)):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
