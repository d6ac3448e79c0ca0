"""Checkpoints come back exactly, or with one line that says why not."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from nanocore.checkpoint import state as module
from nanocore.checkpoint.manifest import commit
from nanocore.checkpoint.state import load_checkpoint, save_checkpoint
from nanocore.errors import CheckpointError, ResourceError
from nanocore.runs.layout import RunFolder
from tests.run_helpers import short

MODEL = {
    "a.weight": torch.randn(3, 4).T,  # not contiguous
    "b": torch.tensor([1.5, float("nan"), -0.0]),
    "half": torch.randn(5).bfloat16(),
}
OPTIMIZER = {"a.weight.momentum_buffer": torch.randn(4, 3), "b.step": torch.tensor(7.0), "empty": torch.zeros(0, 2)}
STATE: dict[str, Any] = {"loader": {"position": 123456789012345, "name": "ä\u2028"}, "loss": 0.1 + 0.2, "skipped": []}


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def save(run: RunFolder, step: int = 7, state: dict[str, Any] = STATE) -> Path:
    return save_checkpoint(run, step, model=MODEL, optimizer=OPTIMIZER, state=state, tokenizer_json='{"kind": "bytes"}')


def one_line(error: pytest.ExceptionInfo[Any]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_everything_comes_back_exactly(run: RunFolder) -> None:
    path = save(run)
    assert path == run.checkpoints_dir / "step-00000007"
    loaded = load_checkpoint(path)
    assert (loaded.step, loaded.state, loaded.tokenizer_json) == (7, STATE, '{"kind": "bytes"}')
    for saved, found in ((MODEL, loaded.model), (OPTIMIZER, loaded.optimizer)):
        assert set(saved) == set(found)
        for name, tensor in saved.items():
            assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
            same = tensor.contiguous().flatten().view(torch.uint8), found[name].contiguous().flatten().view(torch.uint8)
            assert torch.equal(*same)


def test_only_safetensors_and_json_are_written(run: RunFolder) -> None:
    names = sorted(path.name for path in save(run).iterdir())
    assert names == ["manifest.json", "model.safetensors", "optim.safetensors", "state.json", "tokenizer.json"]
    assert json.loads((run.checkpoints_dir / "step-00000007" / "state.json").read_text())["schema"] == 1


def test_numbers_that_are_not_finite_survive(run: RunFolder) -> None:
    loaded = load_checkpoint(save(run, state={"best": float("inf"), "last": float("nan")}))
    assert loaded.state["best"] == float("inf") and loaded.state["last"] != loaded.state["last"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_have_the_modes_the_umask_grants(run: RunFolder, umask: None, mask: int, mode: int) -> None:
    os.umask(mask)
    path = save(run)
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {mode}


def test_generation_needs_no_optimizer(run: RunFolder) -> None:
    loaded = load_checkpoint(save(run), with_optimizer=False)
    assert loaded.optimizer == {} and set(loaded.model) == set(MODEL)


@pytest.mark.parametrize("name", ["model.safetensors", "optim.safetensors", "state.json", "tokenizer.json"])
def test_a_flipped_bit_is_refused(run: RunFolder, name: str) -> None:
    path = save(run)
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    assert name in one_line(error) and "step-00000007" in one_line(error)


def test_a_missing_checkpoint_is_refused(run: RunFolder) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint") as error:
        load_checkpoint(run.checkpoints_dir / "step-00000009")
    one_line(error)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.json", b"[" * 100_000),
        ("state.json", b"{}"),
        ("state.json", b"[]"),
        ("state.json", b"\xff\xfe"),
        ("model.safetensors", b"not tensors at all"),
        (
            "model.safetensors",
            b"\x47"
            + bytes(7)
            + b'{"a":{"dtype":"\xe2\x80\xaeF32","shape":[1],"data_offsets":[0,4]}}'.ljust(0x47)
            + bytes(4),
        ),
        ("optim.safetensors", b""),
        ("tokenizer.json", b"\xff"),
    ],
    ids=short,
)
def test_files_that_verify_but_hold_nonsense_are_refused(run: RunFolder, name: str, content: bytes) -> None:
    good = {path.name: path.read_bytes() for path in save(run).iterdir() if path.name != "manifest.json"}

    def build(folder: Path) -> None:
        for file, data in (good | {name: content}).items():
            (folder / file).write_bytes(data)

    commit(build, run.checkpoints_dir / "step-00000008", {})
    with pytest.raises(CheckpointError, match="cannot be read") as error:
        load_checkpoint(run.checkpoints_dir / "step-00000008")
    one_line(error)
    assert str(error.value).isprintable()  # the library repeats what it read


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device", "/a/long/path"),
        SafetensorError("I/O error: No space left on device"),
    ],
)
def test_a_full_disk_leaves_the_previous_checkpoint(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    save(run, 7)

    def full(*_: object) -> None:
        raise failure

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(ResourceError, match="No space left on device") as error:
        save(run, 8)
    assert "/a/long/path" not in one_line(error)
    assert [path.name for path in run.checkpoints_dir.iterdir()] == ["step-00000007"]
    assert load_checkpoint(run.checkpoints_dir / "step-00000007").step == 7
