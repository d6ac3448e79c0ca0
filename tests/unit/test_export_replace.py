"""What an export may be put over: an earlier export, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.errors import UsageError
from nanocore.export.replace import into_folder, refuse_place
from tests.run_helpers import make_run

OWN = '{"schema": 1, "form": "plain", "config": {}, "tokenizer": ""}'


def folder_of(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name.replace("_", ".", 1)).write_text(text)
    return path


@pytest.mark.parametrize("content", [b"", b"# My readme", b"GGU", b"\x80\x00\x00\x00{}"])
def test_a_file_that_is_no_export_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "README.md"
    file.write_bytes(content)
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=r"is not a GGUF or \.mhc file that an export wrote") as caught:
            refuse_place(file, folder=False, overwrite=overwrite)
        assert "--force" not in str(caught.value)


@pytest.mark.parametrize("content", [b"GGUF\x03", bytes.fromhex("2143486d") + b"rest"])
def test_an_earlier_file_is_replaced_when_asked(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "m"
    file.write_bytes(content)
    refuse_place(file, folder=False, overwrite=True)
    with pytest.raises(UsageError, match=r"exists already; .*--force"):
        refuse_place(file, folder=False, overwrite=False)


def test_a_folder_of_another_program_is_never_replaced(tmp_path: Path) -> None:
    files = {"config_json": "{}", "model_safetensors": "x", "tokenizer_json": "{}"}
    others = [
        folder_of(tmp_path / "a", **files),
        folder_of(tmp_path / "b", README_md="mine", config_json="{}"),
        folder_of(tmp_path / "c", **files, nanoconsole_json="[]"),
        folder_of(tmp_path / "d", **files, nanoconsole_json="no json"),
        folder_of(tmp_path / "g", **files, nanoconsole_json='{"schema": 1}'),
        folder_of(tmp_path / "e", **files, nanoconsole_json=OWN, notes_txt="mine"),
    ]
    for folder in others:
        with pytest.raises(UsageError, match="is not a folder that an export wrote"):
            refuse_place(folder, folder=True, overwrite=True)
    linked = folder_of(tmp_path / "f", nanoconsole_json=OWN)
    (linked / "config.json").symlink_to(tmp_path / "a" / "config.json")
    with pytest.raises(UsageError, match="is not replaced"):
        refuse_place(linked, folder=True, overwrite=True)


def test_an_earlier_folder_is_replaced_when_asked_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    own = folder_of(tmp_path / "own", nanoconsole_json=OWN, config_json="{}")
    refuse_place(own, folder=True, overwrite=True)
    with pytest.raises(UsageError, match="exists already"):
        refuse_place(own, folder=True, overwrite=False)
    empty = folder_of(tmp_path / "empty")
    refuse_place(empty, folder=True, overwrite=False)
    with pytest.raises(UsageError, match="is not replaced"):
        refuse_place(empty, folder=False, overwrite=True)


def test_nothing_is_written_among_checkpoints(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    step = run.checkpoints_dir / "step-00000060"
    step.mkdir(parents=True)
    (step / "model.safetensors").write_bytes(b"GGUF by chance")
    (tmp_path / "link").symlink_to(step)
    for place in (step / "model.safetensors", step / "new.gguf", tmp_path / "link" / "new.gguf", step):
        for folder in (False, True):
            with pytest.raises(UsageError, match="lies among the checkpoints"):
                refuse_place(place, folder=folder, overwrite=True)
    refuse_place(run.exports_dir / "m.gguf", folder=False, overwrite=False)


def test_a_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*none; make that folder first"):
        refuse_place(tmp_path / "none" / "m.gguf", folder=False, overwrite=False)
    assert into_folder(tmp_path, "m.gguf") == tmp_path / "m.gguf"
    assert into_folder(tmp_path / "x", "m.gguf") == tmp_path / "x"


def test_looking_needs_no_torch() -> None:
    program = "import sys, nanocore.export.replace, nanocore.runs.processors; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
