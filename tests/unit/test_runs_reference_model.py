"""A reference model that cannot score a run's tokens is refused by what its checkpoint says, before there is a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nanocore.config.schema import Config
from nanocore.config.toml import load
from nanocore.errors import UsageError
from nanocore.runs.create import create_run
from nanocore.runs.reference_model import reference_path, refuse_unfit
from tests.reference_checkpoint import saying, trained


def scored_by(reference: Path, table: dict[str, Any] | None = None) -> Config:
    collider = {"mode": "head", "importance": "excess", "reference": str(reference)}
    return Config.model_validate({"collider": collider, **(table or {})})


BPE = {"data": {"tokenizer": "bpe", "vocab_size": 2048}}


@pytest.mark.parametrize(
    ("its", "own", "told"),
    [
        ({"model": {"context_length": 128}}, {}, "reads 128 tokens, the run 256; choose another, or lower"),
        (BPE, {}, "has another tokenizer; train it on this text, or set data.tokenizer"),
        (BPE, {"data": {"tokenizer": "bpe", "vocab_size": 1024}}, "has another tokenizer"),
    ],
    ids=["context", "kind", "size"],
)
def test_what_does_not_fit_the_run_is_refused_before_it_is_made(
    tmp_path: Path, its: dict[str, Any], own: dict[str, Any], told: str
) -> None:
    config = scored_by(trained(tmp_path, its), own)
    with pytest.raises(UsageError, match=r"collider\.reference: the reference model") as refused:
        create_run(tmp_path / "runs", config)
    assert told in str(refused.value) and not (tmp_path / "runs").exists()


def test_one_that_fits_or_whose_vocabulary_is_a_file_passes(tmp_path: Path) -> None:
    reference = trained(tmp_path, {"model": {"context_length": 512}, **BPE})
    run = create_run(tmp_path / "runs", scored_by(reference, BPE))
    assert load(run.config_file).collider.reference == str(reference)
    (tmp_path / "tokenizer.json").write_text("{}")
    filed = {"data": {"tokenizer": "file", "tokenizer_file": str(tmp_path / "tokenizer.json")}}
    assert load(create_run(tmp_path / "runs", scored_by(reference, filed)).config_file).data.tokenizer == "file"
    assert reference_path(Config.model_validate({"collider": {"mode": "head"}})) is None  # scores by its own loss


def test_a_folder_that_is_no_checkpoint_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no checkpoint: manifest\.json is missing; give the path of a folder"):
        refuse_unfit(scored_by(tmp_path))
    with pytest.raises(UsageError, match="step-00000020 does not say with what it was trained; choose another"):
        refuse_unfit(scored_by(saying(tmp_path, [])))
