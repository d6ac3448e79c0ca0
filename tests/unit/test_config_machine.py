"""Whether a GPU that a configuration names can be on this machine, asked without torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services import launcher
from nanocore.config import machine
from nanocore.config.advice import advice
from nanocore.config.machine import lacks_driver
from nanocore.config.resolve import resolve
from nanocore.config.sections import Hardware
from nanocore.errors import ResourceError
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano
GPU = ("tiny-cpu", "--set", "hardware.device=cuda")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where a driver may show itself."""
    found = tmp_path / "driver"
    found.mkdir()
    monkeypatch.setattr(machine, "_DRIVER", (str(found / "version"), str(found / "nvidiactl")))
    monkeypatch.setenv("PATH", str(found))
    return found


@pytest.mark.parametrize("name", ["version", "nvidiactl", "nvidia-smi"])
def test_anything_of_a_driver_is_enough(name: str, folder: Path) -> None:
    assert lacks_driver(Hardware(device="cuda:1"))
    (folder / name).touch(mode=0o755)
    assert not lacks_driver(Hardware(device="cuda:1"))


def test_a_gpu_without_a_driver_is_noted_and_refused_before_a_run_is_made(folder: Path, nano: Nano) -> None:
    checked = nano("config", "check", *GPU)
    assert checked.code == 0
    assert 'note: hardware.device: "cuda" cannot be trained on this machine, which has no NVIDIA driver' in checked.err
    refused = nano("train", *GPU)
    assert (refused.code, refused.err.count("\n")) == (6, 1)
    assert "hardware.device: no CUDA device can be used, this machine has no NVIDIA driver; set" in refused.err
    with pytest.raises(ResourceError, match="no NVIDIA driver"):
        launcher.launch(resolve("tiny-cpu", ["hardware.device=cuda"]), root=nano.root)
    assert not nano.root.exists()
    assert nano("train", *GPU, "--create-only").code == 0  # for another machine


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_what_runs_without_a_gpu_is_let_alone(device: str, folder: Path) -> None:
    assert advice(resolve("tiny-cpu", [f"hardware.device={device}"])) == []
