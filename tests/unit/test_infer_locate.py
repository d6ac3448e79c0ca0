"""What a user names, without loading it: runs, checkpoints, files, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.checkpoint import manifest
from nanocore.errors import CheckpointError, UsageError
from nanocore.infer.locate import locate, named
from nanocore.runs.layout import RunFolder
from tests.run_helpers import make_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = make_run(tmp_path)
    target = manifest.step_folder(run.checkpoints_dir, 4)
    manifest.commit(lambda folder: (folder / "model").write_bytes(b"weights") and None, target, {"step": 4})
    return run


def test_a_name_is_a_run_and_a_slash_or_gguf_makes_a_path(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run.path.parent
    monkeypatch.chdir(tmp_path)
    for name in ("probe", "m.gguf", "weights"):
        (tmp_path / name).write_bytes(b"GGUF")
    assert named("probe", root) == run.path
    assert named("./probe", root) == tmp_path / "probe"
    assert named("m.gguf", root) == tmp_path / "m.gguf"
    assert named("weights", root) == tmp_path / "weights"
    for missing in ("no-such-run", "./none", "none.gguf", "a\0b", "x" * 5000):
        with pytest.raises(UsageError) as caught:
            named(missing, root)
        assert "\n" not in str(caught.value)


def test_runs_checkpoints_files_and_folders_are_told_apart(run: RunFolder, tmp_path: Path) -> None:
    checkpoint = run.checkpoints_dir / "step-00000004"
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF\x03")
    assert (locate(run.path, 4).path, locate(run.path).label) == (checkpoint, "probe step-00000004")
    assert locate(checkpoint).kind == "checkpoint"
    assert locate(file).kind == "gguf"
    folder = tmp_path / "hf"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert (locate(folder).kind, locate(folder).label) == ("hf", "hf")
    for path in (checkpoint, file, folder):
        with pytest.raises(UsageError, match="only a run has steps"):
            locate(path, "best")


def test_anything_else_is_refused_in_one_line(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    for path in (tmp_path / "text.gguf", tmp_path, Path("/dev/null")):
        with pytest.raises(UsageError, match="neither a run"):
            locate(path)
    (run.checkpoints_dir / "step-00000004" / "model").write_bytes(b"weight")
    with pytest.raises(CheckpointError, match="instead of 7"):
        locate(run.checkpoints_dir / "step-00000004")
