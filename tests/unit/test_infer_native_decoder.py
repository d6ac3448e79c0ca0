"""The native decoder as the engine's backend: going back, several of them, other heads, what it refuses."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from nanocore.infer import packed_model
from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.packed_model import Unsupported, fastest_layout, narrowest, pack_model
from nanocore.model.bitlinear import TernaryModule, freeze
from nanokernels import autotune, native
from nanokernels.decoder import Number
from tests.native_models import CASES, VOCABULARY, build, in_pieces, random_tokens

pytestmark = pytest.mark.skipif(native.find().library is None, reason=f"not run: {native.find().reason}")


@pytest.mark.parametrize("name", ["plain", "early exit", "4 streams, lite", "experts"])
def test_going_back_and_on_is_as_if_nothing_had_been_read_in_between(name: str) -> None:
    model, tokens = build(**CASES[name]), random_tokens(40)
    decoder, fresh = NativeDecoder(model), NativeDecoder(model)
    decoder.forward(tokens[:20])
    decoder.forward(random_tokens(15, seed=9))
    decoder.truncate(20)
    fresh.forward(tokens[:20])
    assert decoder.length == 20
    assert torch.equal(decoder.forward(tokens[20:], every=True), fresh.forward(tokens[20:], every=True))


def test_a_recurrent_state_goes_back_to_the_beginning_only() -> None:
    decoder, tokens = NativeDecoder(build(**CASES["gated DeltaNet"])), random_tokens(10)
    expected = decoder.forward(tokens)
    assert not decoder.rewinds
    with pytest.raises(ValueError, match="cannot go back"):
        decoder.truncate(4)
    assert decoder.length == 10
    decoder.truncate(0)
    assert torch.equal(decoder.forward(tokens), expected)


def test_the_last_token_has_the_same_logits_alone_and_among_all() -> None:
    decoder, tokens = NativeDecoder(build()), random_tokens(60)
    every = decoder.forward(tokens, every=True)
    assert every.shape == (60, VOCABULARY)
    decoder.reset()
    assert torch.allclose(decoder.forward(tokens), every[-1], rtol=0, atol=1e-6)
    assert decoder.hidden is None


def test_decoders_of_one_packed_model_do_not_meet() -> None:
    packed, first, second = pack_model(build()), random_tokens(12), random_tokens(12, seed=1)
    a, b = NativeDecoder(packed), NativeDecoder(packed, threads=2)
    expected = [in_pieces(NativeDecoder(packed), tokens, (1,) * 12) for tokens in (first, second)]
    pairs = [(a.forward([x]), b.forward([y])) for x, y in zip(first, second, strict=True)]
    for found, logits in zip(zip(*pairs, strict=True), expected, strict=True):
        assert torch.equal(torch.stack(found), logits)


def test_what_was_packed_stays() -> None:
    model, tokens = build(tie_embeddings=False), random_tokens(8)
    freeze(model)
    packed = pack_model(model)
    expected = NativeDecoder(packed).forward(tokens)
    with torch.no_grad():
        for block in model.blocks:
            for parameter in block.parameters():
                if parameter.ndim == 2:
                    parameter.neg_()
    assert torch.equal(NativeDecoder(packed).forward(tokens), expected)
    assert torch.equal(NativeDecoder(model).forward(tokens), expected)  # codes were frozen before


@pytest.mark.parametrize(("number", "error"), [("bfloat16", 2**-8), ("float16", 2**-11), ("int8", 0.5 / 127)])
def test_heads_in_fewer_bits(number: Number, error: float) -> None:
    """Exact but for the rounding of each weight, which is at most `error` of its row's largest."""
    model, tokens = build(d_model=42, tie_embeddings=False), random_tokens(7)
    decoder = NativeDecoder(pack_model(model, head=number))
    logits = decoder.forward(tokens, every=True)
    assert decoder.hidden is not None
    exact = decoder.hidden @ model.head_weight.detach().mT
    largest = decoder.hidden.abs().sum(-1, keepdim=True) * model.head_weight.detach().abs().amax(-1) * error
    assert bool(((logits - exact).abs() <= largest + 1e-5).all())
    assert float((logits - exact).abs().max()) > 1e-5  # it was rounded


@pytest.mark.parametrize("number", ["float32", "bfloat16", "float16", "int8"])
def test_heads_with_numbers_that_fit_are_exact(number: Number) -> None:
    model, tokens = build(d_model=42, tie_embeddings=False), random_tokens(7)
    with torch.no_grad():
        model.head_weight.sign_().mul_(2.0)
        model.head_weight[3] = 0.0
    decoder = NativeDecoder(pack_model(model, head=number))
    logits = decoder.forward(tokens, every=True)
    assert decoder.hidden is not None
    torch.testing.assert_close(logits, decoder.hidden @ model.head_weight.detach().mT, rtol=1e-5, atol=1e-5)
    assert bool((logits[:, 3] == 0).all())


@pytest.mark.parametrize("tokens", [[VOCABULARY], [-1], [3, 2**40], []])
def test_tokens_that_are_none_are_refused_before_anything_is_read(tokens: list[int]) -> None:
    decoder = NativeDecoder(build())
    decoder.forward([1, 2])
    with pytest.raises(ValueError, match=r"vocabulary|tokens"):
        decoder.forward(tokens)
    assert decoder.length == 2


def test_a_full_context_is_refused() -> None:
    decoder = NativeDecoder(build(context_length=16))
    decoder.forward(random_tokens(16))
    with pytest.raises(ValueError, match="do not fit"):
        decoder.forward([1])
    decoder.truncate(15)
    assert decoder.forward([1]).isfinite().all()
    assert NativeDecoder(build(context_length=16), room=99).room == 16


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"linear": "float"}, "float"),
        ({"linear": "float", "fp4": {"format": "nvfp4", "forward": True}}, "float|fp4"),
        ({"d_model": 42, "n_heads": 3, "n_kv_heads": 3, "head_dim": 14, "group_size": 6}, "multiples of 4"),
    ],
)
def test_models_that_cannot_be_packed_are_refused_with_the_reason(keys: dict[str, object], reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        NativeDecoder(build(**keys))  # pyright: ignore[reportArgumentType]


def test_without_the_library_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "find", lambda: native.Found(None, "", "no C compiler"))
    with pytest.raises(Unsupported, match="no C compiler"):
        NativeDecoder(build())


def test_a_head_of_16_bits_is_kept_in_16_bits_and_gives_the_same_logits() -> None:
    model = build(**CASES["plain"])
    with torch.no_grad():
        model.head_weight.copy_(model.head_weight.half().float())
    short, long = pack_model(model), pack_model(model, head="float32")
    assert (narrowest(model.head_weight), narrowest(model.head_weight + 1e-7)) == ("float16", "float32")
    assert short.tables.nbytes < long.tables.nbytes
    tokens = [1, 2, 3]
    assert torch.allclose(
        NativeDecoder(short).forward(tokens), NativeDecoder(long).forward(tokens), rtol=1e-6, atol=1e-6
    )


def test_weights_that_no_cache_holds_take_the_layout_that_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = build(**CASES["experts"]), []
    assert fastest_layout(model) == "t2"
    monkeypatch.setattr(packed_model, "last_level_cache", lambda: 100)
    monkeypatch.setattr(autotune, "choose_layout", lambda *given: asked.append(given) or "t5")
    decoder = NativeDecoder(model)
    (rows, columns, streamed, _), *_ = asked
    ternary = [module.ternary().codes for module in model.modules() if isinstance(module, TernaryModule)]
    assert streamed == sum(codes.numel() for codes in ternary) // 4
    assert rows * columns == max(codes.shape[-1] * codes.shape[-2] for codes in ternary)
    tokens = random_tokens(9)
    assert torch.equal(decoder.forward(tokens), NativeDecoder(pack_model(model, layout="t2")).forward(tokens))


def test_a_forked_child_reads_on_without_its_parents_threads() -> None:
    decoder, tokens = NativeDecoder(build(**CASES["plain"]), threads=2), random_tokens(12)
    expected = decoder.forward(tokens)
    child = os.fork()
    if not child:
        signal.alarm(10)  # kills it where it waits for threads that it has not
        decoder.reset()
        os._exit(0 if torch.equal(decoder.forward(tokens), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
