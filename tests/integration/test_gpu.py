"""What needs an NVIDIA GPU: the curve there is the curve of the CPU, and running out of memory is said in a line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nanocore.runs.records import read_all
from nanocore.runs.status import read_status
from nanocore.train import loop
from tests.tiny import new_run, train


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_curve_of_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))
    small_steps = ("training.steps=10", "optimizer.matrix_lr=0.001", "optimizer.embedding_lr=0.001")
    curves = []
    for device in ("cpu", "cuda"):
        run = new_run(tmp_path, *small_steps, f"hardware.device={device}", name=device)
        assert train(run) == 0
        curves.append([record["loss/ce"] for record in read_all(run.metrics_file) if "loss/ce" in record])
    assert curves[1] == pytest.approx(curves[0], rel=5e-3)


def test_running_out_of_memory_is_one_line_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))

    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore lines")

    monkeypatch.setattr(loop, "one_step", exhausted)
    run = new_run(tmp_path)
    assert train(run) == 6
    status = read_status(run)
    assert status and status.state == "crashed"
    assert status.message.startswith("out of memory: CUDA out of memory. Tried to allocate 20.00 GiB.; resume with")
    assert "\n" not in status.message
