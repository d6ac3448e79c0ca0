"""No altered checkpoint is ever taken for a good one; the one before it is."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import MANIFEST, available, commit, latest, step_folder, verify
from tests.resealed import reseal_json
from tests.run_helpers import short


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for step in (100, 200):
        content = random.Random(step).randbytes(5000)

        def build(path: Path, content: bytes = content) -> None:
            (path / "model.safetensors").write_bytes(content)

        commit(build, step_folder(tmp_path, step), {})
    return tmp_path


def _falls_back(folder: Path, expected: str) -> None:
    (problem,) = verify(step_folder(folder, 200))
    assert expected in problem
    assert "\n" not in problem
    assert latest(folder) == step_folder(folder, 100)


def test_one_flipped_bit_anywhere_is_found(folder: Path) -> None:
    path = step_folder(folder, 200) / "model.safetensors"
    good, chance = path.read_bytes(), random.Random(1)
    for _ in range(50):
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        assert verify(path.parent) == ["model.safetensors was altered (SHA-256 differs)"]
    _falls_back(folder, "altered")
    path.write_bytes(good)
    assert latest(folder) == path.parent


def test_one_flipped_bit_in_the_manifest_is_found_though_nothing_depends_on_it(folder: Path) -> None:
    path = step_folder(folder, 200) / MANIFEST
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        assert verify(path.parent), place
        assert latest(folder) == step_folder(folder, 100)


def test_a_manifest_of_the_version_before_without_a_hash_of_itself_is_read(folder: Path) -> None:
    path = step_folder(folder, 200) / MANIFEST
    table = json.loads(path.read_text())
    del table["sha256"]
    path.write_text(json.dumps(table | {"schema": 1}))
    assert verify(path.parent) == []
    path.write_text(json.dumps(table | {"schema": 2}))
    _falls_back(folder, "manifest.json was altered (SHA-256 differs)")
    path.write_text(json.dumps(table | {"schema": 0}))
    _falls_back(folder, "a version that never was")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9999])
def test_a_truncated_file_is_found_by_its_size(folder: Path, share: float) -> None:
    os.truncate(step_folder(folder, 200) / "model.safetensors", int(5000 * share))
    _falls_back(folder, "bytes instead of 5000")
    assert available(folder) == [step_folder(folder, 100)]


def test_a_missing_file_or_manifest_is_found(folder: Path) -> None:
    (step_folder(folder, 200) / "model.safetensors").unlink()
    _falls_back(folder, "cannot be read: No such file")
    (step_folder(folder, 200) / MANIFEST).unlink()
    _falls_back(folder, "manifest.json is missing")
    assert verify(step_folder(folder, 999)) == ["there is no such checkpoint"]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"null", b'{"schema":1}', b"\0" * 50, b'{"schema":1,"files":[{}]}', b"[" * 9999], ids=short
)
def test_a_torn_manifest_is_found(folder: Path, text: bytes) -> None:
    (step_folder(folder, 200) / MANIFEST).write_bytes(text)
    _falls_back(folder, "manifest.json cannot be read: ")


def test_a_newer_version_says_so(folder: Path) -> None:
    path = step_folder(folder, 200) / MANIFEST
    path.write_bytes(reseal_json(json.dumps(json.loads(path.read_text()) | {"schema": 999}).encode()))
    _falls_back(folder, "written by a newer version of nanoconsole (schema 999")


@pytest.mark.parametrize("name", ["../step-00000100/model.safetensors", "/etc/passwd", "", "..", "manifest.json"])
def test_a_manifest_cannot_point_outside_its_folder(folder: Path, name: str) -> None:
    path = step_folder(folder, 200) / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["files"][0]["name"] = name
    path.write_bytes(reseal_json(json.dumps(manifest).encode()))
    _falls_back(folder, "a file outside the checkpoint")


def test_links_are_not_followed(folder: Path) -> None:
    target = step_folder(folder, 200) / "model.safetensors"
    target.rename(folder / "elsewhere")
    target.symlink_to(folder / "elsewhere")
    _falls_back(folder, "cannot be read")
    (folder / "step-00000300").symlink_to(step_folder(folder, 100))
    assert latest(folder) == step_folder(folder, 100)


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    assert available(tmp_path / "missing") == []
    (tmp_path / "step-1").mkdir()
    (tmp_path / "step-00000001x").mkdir()
    assert available(tmp_path) == []
