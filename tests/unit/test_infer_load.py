"""A checkpoint becomes the model that was saved, or one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nanocore.checkpoint.state import save_checkpoint
from nanocore.data.tokenizer import ByteTokenizer
from nanocore.errors import CheckpointError
from nanocore.infer.load import load_model
from nanocore.model.transformer import Transformer
from nanocore.runs.layout import RunFolder
from tests.models import make_model, random_tokens


def save(folder: Path, model: Transformer, state: dict[str, object] | None = None) -> Path:
    run = RunFolder(folder / "run")
    run.checkpoints_dir.mkdir(parents=True)
    facts = {"config": model.config.model_dump()} if state is None else state
    tokenizer = ByteTokenizer().to_json()
    return save_checkpoint(run, 3, model=dict(model.state_dict()), optimizer={}, state=facts, tokenizer_json=tokenizer)


def test_a_loaded_model_computes_what_the_saved_one_did(tmp_path: Path) -> None:
    model = make_model(vocabulary=257, streams=2, dynamic=True, tie_embeddings=False)
    loaded, tokenizer, config = load_model(save(tmp_path, model))
    tokens = random_tokens(2, 12, 257)
    assert torch.equal(loaded(tokens), model(tokens))
    assert config == model.config
    assert tokenizer.decode(tokenizer.encode("héllo")) == "héllo"
    assert not loaded.training


def test_a_model_can_be_loaded_in_another_precision(tmp_path: Path) -> None:
    loaded, _, _ = load_model(save(tmp_path, make_model(vocabulary=257)), dtype=torch.float64)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float64}


@pytest.mark.parametrize("streams", [1, 2])
def test_tensors_of_another_model_are_refused_in_one_line(tmp_path: Path, streams: int) -> None:
    other = make_model(vocabulary=257, streams=streams, n_layers=1 if streams == 1 else 2)
    config = make_model(vocabulary=257).config.model_dump()
    with pytest.raises(CheckpointError) as caught:
        load_model(save(tmp_path, other, {"config": config}))
    line = str(caught.value)
    assert line.startswith("step-00000003: ") and "\n" not in line and len(line) < 200


def test_a_checkpoint_without_its_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no configuration"):
        load_model(save(tmp_path, make_model(vocabulary=257), {}))
