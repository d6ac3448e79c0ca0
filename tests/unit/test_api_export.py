"""`nanocore.export` and `nanocore.load` of what it wrote: everything that names a checkpoint is taken, nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import nanocore
from nanocore.checkpoint.state import save_checkpoint
from nanocore.errors import CheckpointError, ResourceError, UsageError
from nanocore.runs.layout import RunFolder
from tests.saved import saved_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("NANOCONSOLE_RUNS", str(tmp_path / "runs"))
    return saved_run(tmp_path / "runs", "mhc.streams=1", steps=(3, 5))


def test_a_run_by_name_or_folder_and_a_checkpoint_give_the_same_file(run: RunFolder, tmp_path: Path) -> None:
    checkpoint = run.checkpoints_dir / "step-00000003"
    by_name = nanocore.export("saved", step=3)
    assert by_name.path == run.exports_dir / "saved-step-00000003.gguf"
    for number, source in enumerate((run.path, str(checkpoint))):
        step = 3 if source == run.path else "latest"
        other = nanocore.export(source, step=step, output=tmp_path / f"{number}.gguf")
        assert other.path.read_bytes() == by_name.path.read_bytes()
    assert nanocore.export(checkpoint, "hf").path == run.exports_dir / "saved-step-00000003-hf"


def test_a_checkpoint_outside_a_run_says_no_place_for_its_export(run: RunFolder, tmp_path: Path) -> None:
    alone = shutil.copytree(run.checkpoints_dir / "step-00000003", tmp_path / "kept")
    with pytest.raises(UsageError, match=r"lies in no run.*--output"):
        nanocore.export(alone)
    report = nanocore.export(alone, output=tmp_path / "m.gguf")
    loaded = [nanocore.load(path, backend="torch", threads=1) for path in (alone, report.path)]
    assert loaded[0].logits("ab").shape == loaded[1].logits("ab").shape


@pytest.mark.parametrize("form", ["plain", "bitnet"])
def test_an_exported_folder_is_loaded_as_the_checkpoint_itself(form: str, run: RunFolder, tmp_path: Path) -> None:
    folder = nanocore.export("saved", "hf", form=form, output=tmp_path / "hf").path  # type: ignore[arg-type]
    ours, theirs = (nanocore.load(path, backend="torch", threads=1) for path in (run.path, folder))
    assert torch.equal(ours.logits("def mean(values):"), theirs.logits("def mean(values):"))
    assert ours.generate("def ", tokens=12, seed=3).tokens == theirs.generate("def ", tokens=12, seed=3).tokens
    assert theirs.config.data.tokenizer == "bytes"


def test_what_was_exported_and_what_is_no_model_is_refused_in_one_line(run: RunFolder, tmp_path: Path) -> None:
    file = nanocore.export("saved", output=tmp_path / "m.gguf").path
    folder = nanocore.export("saved", "hf", output=tmp_path / "hf").path
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "config.json").write_text("{}")
    for source, words in (
        (file, "m.gguf: is a GGUF file already; export takes a run or the folder of a checkpoint"),
        (folder, "hf: is a Hugging Face folder already; export takes"),
        (tmp_path / "foreign", "is a Hugging Face folder already"),
        (tmp_path, "is neither a run, a checkpoint"),
        ("saved-2", "no run named"),
    ):
        with pytest.raises(UsageError) as caught:
            nanocore.export(source)
        assert words in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="only a run has steps"):
        nanocore.export(run.checkpoints_dir / "step-00000003", step="best")


@pytest.mark.parametrize("license", ["", "  ", 5, None])
def test_a_licence_is_a_text(license: object, run: RunFolder) -> None:
    with pytest.raises(UsageError, match="a licence is a text that is not empty"):
        nanocore.export("saved", license=license)  # type: ignore[arg-type]
    assert not list(run.exports_dir.iterdir())


def test_a_hostile_licence_is_one_line_in_the_file(run: RunFolder) -> None:
    report = nanocore.export("saved", license="a\nb\x1b[31m\udcff")
    assert b"a b\xe2\x90\x9b[31m\xef\xbf\xbd" in report.path.read_bytes()


def test_an_output_that_is_no_place_is_refused_in_one_line(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is no path of a file"):
        nanocore.export("saved", output="a\0b")
    for place in (tmp_path / "file" / "m.gguf", tmp_path / ("x" * 300)):
        for to in ("gguf", "hf"):
            with pytest.raises(ResourceError, match="the export was not written: ") as caught:
                nanocore.export("saved", to, output=place)  # type: ignore[arg-type]
            assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_what_exists_is_refused_before_the_model_is_read(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.gguf").write_text("mine")
    monkeypatch.setattr("nanocore.api.export.load_model", None)
    with pytest.raises(UsageError, match=r"exists already; .*--output.*--force \(force=True in Python\)"):
        nanocore.export("saved", output=tmp_path / "m.gguf")


def test_a_checkpoint_whose_configuration_is_none_is_one_line(run: RunFolder) -> None:
    target = run.checkpoints_dir / "step-00000005"
    shutil.rmtree(target)
    save_checkpoint(run, 5, model={}, optimizer={}, state={"config": 5}, tokenizer_json="{}")
    with pytest.raises(CheckpointError, match="step-00000005: holds no configuration"):
        nanocore.export("saved")
