"""Worker verb `bench-kernels`: `parts`, `threads` and `quick` of nanocore.bench.kernels."""

from __future__ import annotations

import os

from nanocore.worker.channel import Channel, Record

# What a worker sets for its own threads would slow the others down: they are measured as their users find them.
OPENMP = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def kernels(request: Record, channel: Channel) -> None:
    """Answers `progress` (`phase`) as it goes, and `done` (`report`)."""
    for name in OPENMP:
        os.environ.pop(name, None)
    from nanocore.bench.kernels import bench_kernels

    def progress(phase: str) -> None:
        channel.answer({"kind": "progress", "phase": phase})

    report = bench_kernels(request["parts"], request["threads"], quick=request["quick"], progress=progress)
    channel.answer({"kind": "done", "report": report})
