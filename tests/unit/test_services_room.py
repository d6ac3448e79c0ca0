"""A run whose checkpoints do not fit on the disk is told before it is launched."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from nanoconsole.services.room import checkpoint_bytes, room_note
from nanocore.checkpoint.manifest import available
from tests import command_line
from tests.command_line import Nano
from tests.tiny import new_run, tiny_config, train

nano = command_line.nano
Usage = namedtuple("Usage", "total used free")


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free, 0, free))


def test_what_is_told_is_what_the_checkpoints_really_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))
    run = new_run(tmp_path, "training.steps=1")
    assert train(run) == 0
    (path,) = available(run.checkpoints_dir)
    tensors = sum((path / name).stat().st_size for name in ("model.safetensors", "optim.safetensors"))
    needed = checkpoint_bytes(tiny_config("checkpoint.keep_last=4"))
    assert needed == pytest.approx(5 * tensors, rel=0.25)  # headers and names weigh much in so small a model


def test_a_disk_with_room_is_not_mentioned_and_one_without_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config()
    with_free(monkeypatch, checkpoint_bytes(config))
    assert room_note(config, tmp_path / "not" / "made" / "yet") == ""
    with_free(monkeypatch, checkpoint_bytes(config) - 1)
    note = room_note(config, tmp_path / "not" / "made" / "yet")
    assert "its checkpoints need up to" in note and f"free in {tmp_path}" in note


def test_train_says_so_before_it_makes_the_run(tmp_path: Path, nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 1000)
    said = nano("--runs", str(tmp_path), "train", "tiny-cpu", "--create-only").err
    assert "note: its checkpoints need up to" in said and "1000 B are free" in said
