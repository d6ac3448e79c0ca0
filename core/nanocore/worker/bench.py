"""Worker verbs `bench-kernels`, `bench-memory` and `bench-train`: requests have the parameters of their functions in nanocore.bench."""

from __future__ import annotations

import os
from collections.abc import Callable

from nanocore.worker.channel import Channel, Record

# What a worker sets for its own threads would slow the others down: they are measured as their users find them.
OPENMP = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def kernels(request: Record, channel: Channel) -> None:
    """Answers `progress` (`phase`) as it goes, and `done` (`report`)."""
    for name in OPENMP:
        os.environ.pop(name, None)
    from nanocore.bench.kernels import bench_kernels

    report = bench_kernels(request["parts"], request["threads"], quick=request["quick"], progress=_teller(channel))
    channel.answer({"kind": "done", "report": report})


def memory(request: Record, channel: Channel) -> None:
    """Answers as `kernels`. On one thread: only sizes count."""
    import torch

    from nanocore.bench.memory import bench_memory

    torch.set_num_threads(1)
    channel.answer({"kind": "done", "report": bench_memory(request["preset"], request["sets"], _teller(channel))})


def train(request: Record, channel: Channel) -> None:
    """Answers as `kernels`. Threads wait as those of a training run do, which the worker's environment has set."""
    from nanocore.bench.train import bench_train

    options = {name: request[name] for name in ("threads", "modes", "rounds")}
    report = bench_train(request["preset"], request["sets"], **options, progress=_teller(channel))
    channel.answer({"kind": "done", "report": report})


def _teller(channel: Channel) -> Callable[[str], None]:
    def progress(phase: str) -> None:
        channel.answer({"kind": "progress", "phase": phase})

    return progress
