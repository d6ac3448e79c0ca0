"""The engine: why texts end, log-probabilities, texts that share a beginning, backends and their reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from nanocore.data.tokenizer import ByteTokenizer
from nanocore.errors import UsageError
from nanocore.infer.backend import TorchBackend, make_backend
from nanocore.infer.engine import Engine
from nanocore.infer.request import Request
from nanocore.infer.sampler import Sampling
from nanocore.model.bitlinear import freeze
from nanokernels import native
from tests.models import make_model

BYTES = ByteTokenizer()
GREEDY = Sampling(temperature=0.0)


class Scripted:
    """A backend that is sure of the next token of a script, whatever it reads."""

    name, reason, rewinds, hidden = "scripted", "", True, None

    def __init__(self, script: Sequence[int]) -> None:
        self.script, self.length, self.calls = list(script), 0, []

    def forward(self, tokens: Sequence[int], *, every: bool = False) -> torch.Tensor:
        self.calls.append(list(tokens))
        self.length += len(tokens)
        return torch.nn.functional.one_hot(torch.tensor(self.script.pop(0)), 257).float()

    def truncate(self, length: int) -> None:
        self.length = min(self.length, length)


def scripted(text: str | bytes, *after: int) -> Engine:
    script = [*(text.encode() if isinstance(text, str) else text), *after]
    return Engine(make_model(vocabulary=257, context_length=64), BYTES, Scripted(script))


@pytest.mark.parametrize(
    ("script", "request_", "text", "finish", "tokens"),
    [
        ("abcdef", Request(3, GREEDY), "abc", "length", 3),
        ("ab", Request(9, GREEDY), "ab", "eos", 2),
        ("ab\n\ncd", Request(9, GREEDY, stop=("\n\n",)), "ab", "stop", 4),
        ("aXbYc", Request(9, GREEDY, stop=("Y", "b")), "aX", "stop", 3),
        ("ab\n", Request(3, GREEDY, stop=("\n\n",)), "ab\n", "length", 3),  # held back, then shown after all
        ("xé→y", Request(9, GREEDY, stop=("→",)), "xé", "stop", 6),
        ("é", Request(1, GREEDY), "\ufffd", "length", 1),
        ("", Request(0, GREEDY), "", "length", 0),
    ],
)
def test_why_a_text_ends(script: str, request_: Request, text: str, finish: str, tokens: int) -> None:
    done = scripted(script, BYTES.bos).generate("p", request_).finished()
    assert (done.text, done.finish, len(done.tokens), done.prompt_tokens) == (text, finish, tokens, 2)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"tokens": "a"}, "tokens is a str, not a whole number"),
        ({"tokens": -5}, "-5 tokens are less than none"),
        ({"tokens": 5, "stop": (1,)}, "a stop string is of type int, not text"),
    ],
)
def test_requests_that_mean_nothing_are_refused_in_one_line(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Request(**keys)
    assert str(caught.value) == words


@pytest.mark.parametrize(("length", "cut"), [(10, 0), (15, 0), (16, 1), (100, 85)])
def test_a_prompt_longer_than_the_context_is_read_from_its_end_and_that_is_told(length: int, cut: int) -> None:
    engine = Engine(make_model(vocabulary=257, context_length=16), BYTES)
    prompts = ["ab" * (length // 2) + "c" * (length % 2), "x"]
    done = engine.generate(prompts[0], Request(20, GREEDY)).finished()
    assert (done.prompt_tokens, done.prompt_cut) == (1 + length, cut)
    assert [each.prompt_cut for each in engine.complete(prompts, Request(20, GREEDY))] == [cut, 0]
    if cut:  # without BOS, whose place another token takes
        read = engine.generate(prompts[0][cut - 1 :], Request(1, GREEDY)).finished()
        assert read.prompt_cut == 1 and read.tokens == done.tokens[:1]


def test_pieces_never_hold_a_part_of_a_stop_string() -> None:
    generation = scripted("one\nUser: two", BYTES.bos).generate("p", Request(50, GREEDY, stop=("\nUser:",)))
    assert list(generation) == ["o", "n", "e"]
    assert generation.completion().finish == "stop"


def test_a_cancelled_text_ends_after_the_token_at_hand() -> None:
    generation = scripted("abcdef").generate("p", Request(6, GREEDY))
    pieces = iter(generation)
    assert next(pieces) == "a"
    generation.cancel()
    assert list(pieces) == []
    done = generation.completion()
    assert (done.text, done.finish, done.tokens) == ("a", "cancelled", (ord("a"),))


def test_logprobs_are_the_models_own_whatever_the_sampling() -> None:
    model = make_model(vocabulary=257, context_length=64).double()
    request = Request(6, Sampling(temperature=0.3, top_k=5, repetition_penalty=2.0, seed=1), logprobs=True)
    done = Engine(model, BYTES).generate("def", request).finished()
    tokens = [BYTES.bos, *b"def", *done.tokens]
    with torch.no_grad():
        logits = model.logits(model(torch.tensor([tokens])))[0].log_softmax(-1)
    expected = [float(logits[at - 1, tokens[at]]) for at in range(4, len(tokens))]
    assert done.logprobs == pytest.approx(expected, abs=1e-9)
    assert Engine(model, BYTES).generate("def", Request(2)).finished().logprobs == ()


def test_the_seed_alone_decides_a_text() -> None:
    engine = Engine(make_model(vocabulary=257, context_length=64), BYTES)
    texts = [engine.generate("a", Request(20, Sampling(temperature=1.0, seed=seed))).finished() for seed in (5, 5, 6)]
    assert texts[0] == texts[1]
    assert texts[0].tokens != texts[2].tokens


def test_a_text_that_goes_on_from_the_one_before_is_not_read_again() -> None:
    engine = scripted("xyzuv")
    assert engine.generate("ab", Request(2, GREEDY)).finished().text == "xy"
    engine.generate("abxy!", Request(2, GREEDY), reuse=True).finished()
    engine.generate("a?", Request(1, GREEDY), reuse=True).finished()
    assert engine.backend.calls == [[256, *b"ab"], [*b"x"], [*b"y!"], [*b"z"], [*b"?"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["attention", "delta"])
def test_reuse_gives_the_text_of_a_fresh_reading(kind: str) -> None:
    from nanocore.config.schema import Config
    from nanocore.model.transformer import Transformer

    shape = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48, "context_length": 16}
    table = {"model": shape} | ({"delta": {"pattern": "DA", "chunk": 4}} if kind == "delta" else {})
    model = Transformer(Config.model_validate(table), 257)
    model.initialise(2)
    engine, fresh = Engine(model.double(), BYTES), Engine(model, BYTES)
    text, request = "hello", Request(7, GREEDY)
    for said in ("", "\nand", " more", "?"):
        text += said
        reply = engine.generate(text, request, reuse=True).finished()
        assert reply.text == fresh.generate(text, request).finished().text
        text += reply.text
    for text in ("hello", "help"):  # a recurrent state cannot go back to the beginning that they share
        assert (
            engine.generate(text, request, reuse=True).finished().text == fresh.generate(text, request).finished().text
        )


def test_beginning_another_text_ends_the_one_before() -> None:
    engine = scripted("abcdef")
    first = iter(engine.generate("p", Request(3, GREEDY)))
    next(first)
    engine.generate("q", Request(1, GREEDY)).finished()
    with pytest.raises(UsageError, match="another text"):
        next(first)


def test_logits_of_a_text_are_those_of_the_training_forward() -> None:
    model = make_model(vocabulary=257, context_length=16)
    engine, tokens = Engine(model, BYTES), [256, *b"hello"]
    with torch.no_grad():
        expected = model.logits(model(torch.tensor([tokens])))[0]
    engine.generate("something before", Request(3, GREEDY)).finished()
    assert torch.equal(engine.logits(tokens), expected)
    for bad in ([], [1] * 17, [257], [-1]):
        with pytest.raises(UsageError):
            engine.logits(bad)


def test_without_the_native_library_torch_computes_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "find", lambda: native.Found(None, "", "switched off here"))
    model = make_model(vocabulary=257)
    found = make_backend(model, "auto")
    assert isinstance(found, TorchBackend)
    assert "switched off here" in found.reason
    assert make_backend(model, "torch").reason == "asked for"
    with pytest.raises(UsageError, match="switched off here"):
        make_backend(model, "native")


@pytest.mark.skipif(native.find().library is None, reason="not run: no native library here")
def test_the_native_backend_writes_what_torch_writes() -> None:
    """As long as the two likeliest tokens are apart (DESIGN's rule for float32), also past the context."""
    model = make_model(vocabulary=257, context_length=16, streams=2)
    freeze(model)
    engines = [Engine(model, BYTES, make_backend(model, choice)) for choice in ("native", "torch")]
    texts = [engine.generate("def", Request(24, GREEDY, logprobs=True)).finished() for engine in engines]
    same = next(
        (i for i, pair in enumerate(zip(texts[0].tokens, texts[1].tokens, strict=True)) if pair[0] != pair[1]), 24
    )
    assert math.isclose(sum(texts[0].logprobs[:same]), sum(texts[1].logprobs[:same]), abs_tol=0.05)
    assert same > 12
