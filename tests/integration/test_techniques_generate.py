"""Text from checkpoints of every kind of model: loaded as a user would, the cache gives what the full forward gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nanocore.checkpoint.manifest import latest
from nanocore.infer.generate import generate
from nanocore.infer.load import load_model
from nanocore.infer.sampler import Sampling
from nanocore.model.transformer import Transformer
from tests.techniques import MODELS, MOE, NUMBERS, SMALL
from tests.tiny import new_run, train

LENGTH = 12
KINDS = {
    **MODELS,
    "loop+delta+moe": ("loop.count=2", "delta.pattern=DA", "delta.chunk=4", *MOE),
    "loop+mhc+mtp": ("loop.count=3", "loop.after=1", "mhc.streams=2", "mtp.horizon=1"),
    "fp4": NUMBERS["fp4-mxfp4"],
    "untied": ("model.tie_embeddings=false", "mtp.horizon=1", "mtp.kind=sequential"),
}
QUICK = {"mhc-lite", "untied"}  # loop and experts are in the last test too, DeltaNet in test_model_delta_net.py


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def one_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(shared_cache))


def checkpoint(root: Path, *sets: str) -> Path:
    run = new_run(root, *SMALL, "training.steps=2", *sets, name="run")
    assert train(run) == 0
    path = latest(run.checkpoints_dir)
    assert path is not None
    return path


def tokens(model: Transformer) -> torch.Tensor:
    return torch.randint(0, model.vocab_size, (2, LENGTH), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def piecewise(model: Transformer, text: torch.Tensor, pieces: list[int]) -> torch.Tensor:
    """Logits of every token, read in pieces of these lengths."""
    cache = model.new_cache(len(text), LENGTH)
    hidden = [model(piece, cache=cache) for piece in text.split(pieces, dim=1)]
    return model.logits(torch.cat(hidden, dim=1))


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in KINDS])
def test_the_cache_gives_the_full_forward_of_a_trained_checkpoint(name: str, tmp_path: Path) -> None:
    path = checkpoint(tmp_path, *KINDS[name])
    model, tokenizer, _ = load_model(path, dtype=torch.float64)  # in float64 no rounding flips
    text = tokens(model)
    with torch.no_grad():
        whole = model.logits(model(text))
    for pieces in ([1] * LENGTH, [5, 1, 1, 5]):
        torch.testing.assert_close(piecewise(model, text, pieces), whole, rtol=1e-9, atol=1e-9)
    drawn = "".join(generate(model, tokenizer, "let ant", tokens=20, sampling=Sampling(seed=1)))  # past the context
    again = load_model(path, dtype=torch.float64)[0]
    assert drawn == "".join(generate(again, tokenizer, "let ant", tokens=20, sampling=Sampling(seed=1)))


def test_a_checkpoint_whose_tokens_leave_the_loop_early_reads_the_same_in_pieces(tmp_path: Path) -> None:
    """Gates stand at even odds at first: after the first of four turns the exit probability is about one half."""
    path = checkpoint(tmp_path, "loop.count=4", "loop.before=1", "loop.exit_threshold=0.6", *MOE)
    model, tokenizer, config = load_model(path, dtype=torch.float64)
    assert config.loop.exit_threshold == 0.6
    text = tokens(model)
    with torch.no_grad():
        all_turns = model.logits(model(text))
    early = piecewise(model, text, [LENGTH])
    assert not torch.allclose(early, all_turns, rtol=1e-3)
    torch.testing.assert_close(piecewise(model, text, [1] * LENGTH), early, rtol=1e-9, atol=1e-9)
    assert "".join(generate(model, tokenizer, "let", tokens=20, sampling=Sampling(seed=1)))
