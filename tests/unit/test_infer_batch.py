"""Several prompts side by side: each gets what it gets alone."""

from __future__ import annotations

import pytest
import torch

from nanocore.config.schema import Config
from nanocore.data.tokenizer import ByteTokenizer
from nanocore.infer.engine import Engine
from nanocore.infer.padded_cache import PaddedCache
from nanocore.infer.request import Completion, Request
from nanocore.infer.sampler import Sampling
from nanocore.model.transformer import Transformer
from tests.models import random_tokens
from tests.quick import quick

SHAPE = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48, "context_length": 12}
KINDS = {
    "plain": {},
    "streams": {"mhc": {"streams": 2, "dynamic": True}},
    "loop": {"loop": {"count": 3, "before": 1, "exit_threshold": 0.6}},
    "experts": {"moe": {"experts": 4, "active": 2, "d_expert": 16}},
    "delta": {"delta": {"pattern": "DA", "chunk": 4}},  # one after another: a state would read the padding
}
PROMPTS = ("def f", "", "a longer prompt than there is room for", "é")


def make(kind: str = "plain") -> Transformer:
    """In float64: no rounding flips."""
    model = Transformer(Config.model_validate({"model": SHAPE, **KINDS[kind]}), 257)
    model.initialise(3)
    return model.double().eval()


def alone(model: Transformer, request: Request, prompts: tuple[str, ...] = PROMPTS) -> list[Completion]:
    """The i-th with seed + i, as in a batch."""
    engine = Engine(model, ByteTokenizer())
    samplings = [Sampling(**{**vars(request.sampling), "seed": request.sampling.seed + i}) for i in range(len(prompts))]
    return [
        engine.generate(prompt, Request(request.tokens, sampling, request.stop, request.logprobs)).finished()
        for prompt, sampling in zip(prompts, samplings, strict=True)
    ]


@pytest.mark.parametrize("kind", quick(KINDS, "streams", "delta"))
def test_a_batch_gives_what_each_prompt_gives_alone_also_past_the_context(kind: str) -> None:
    model, request = make(kind), Request(14, Sampling(temperature=0.0, repetition_penalty=1.2), logprobs=True)
    together, expected = Engine(model, ByteTokenizer()).complete(PROMPTS, request), alone(model, request)
    for found, wanted in zip(together, expected, strict=True):
        assert (found.tokens, found.text, found.finish) == (wanted.tokens, wanted.text, wanted.finish)
        assert found.prompt_tokens == wanted.prompt_tokens
        assert found.logprobs == pytest.approx(wanted.logprobs, abs=1e-9)


def test_texts_that_end_early_leave_the_others_as_they_are() -> None:
    """Drawn ones stop at letters of their own, at different times."""
    model, request = (
        make(),
        Request(16, Sampling(temperature=1.0, seed=4), stop=tuple("abcdefghijklmnopqrstuvwxyz(){}<>[]")),
    )
    together = Engine(model, ByteTokenizer()).complete(PROMPTS, request)
    assert [each.tokens for each in together] == [each.tokens for each in alone(model, request)]
    assert len({len(each.tokens) for each in together}) > 1


def test_the_same_prompt_several_times_draws_different_texts() -> None:
    texts = Engine(make(), ByteTokenizer()).complete(["x"] * 3, Request(8, Sampling(temperature=1.0)))
    assert len({each.tokens for each in texts}) == 3


def test_no_prompts_and_no_tokens_are_answered() -> None:
    engine = Engine(make(), ByteTokenizer())
    assert engine.complete([], Request(5)) == []
    assert [each.finish for each in engine.complete(["a", "b"], Request(0))] == ["length", "length"]


def test_padding_is_never_seen() -> None:
    model, tokens = make(), random_tokens(2, 8, 257)
    results = []
    for filler in (0, 99):
        padded = tokens.clone()
        padded[1, 3:] = filler
        cache = PaddedCache(torch.tensor([8, 3]), 12)
        with torch.no_grad():
            model(padded, cache=cache)
            results.append(model(torch.tensor([[5], [6]]), positions=cache.positions(), cache=cache))
    assert torch.equal(*results)
    with torch.no_grad():
        whole = model(torch.cat((tokens[1:, :3], torch.tensor([[6]])), dim=1))
    torch.testing.assert_close(results[0][1, -1], whole[0, -1], rtol=1e-9, atol=1e-9)
