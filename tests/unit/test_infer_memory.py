"""Memory follows what is read: a model may declare a context of any length, and room for it changes no bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nanocore.config.schema import Config
from nanocore.data.tokenizer import ByteTokenizer
from nanocore.infer.backend import Backend, Choice, TorchBackend, make_backend
from nanocore.infer.engine import Engine
from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.request import Request
from nanocore.infer.sampler import Sampling
from nanocore.model.bitlinear import freeze
from nanocore.model.rotary import RotaryTable
from nanocore.model.transformer import Transformer
from nanokernels import native
from tests.native_models import CASES, build, random_tokens

NATIVE = pytest.mark.skipif(native.find().library is None, reason=f"not run: {native.find().reason}")
BACKENDS: dict[str, Callable[[Transformer], Backend]] = {"torch": TorchBackend, "native": NativeDecoder}
PIECES = (9, 240, 1, 5, 1, 1, 200, 60, 1, 3)  # beyond 256 and 512 in the middle of a piece and between two
LONG = 131072  # tokens
GROWING = ("plain", "odd widths", "one head has keys", "early exit between other blocks", "looped DeltaNet")
QUICK = ("plain", "early exit between other blocks")  # with torch, which is slower
MANY = 1 << 29  # bytes


def address_space() -> int:
    """Bytes that this process has asked the system for, whether or not they were written to."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * 4096


@pytest.mark.parametrize("choice", ["torch", pytest.param("native", marks=NATIVE)])
@pytest.mark.parametrize("speculate", [False, True])
def test_a_long_declared_context_with_wide_heads_takes_no_memory(choice: Choice, speculate: bool) -> None:
    """Room for all of it would be 512 MiB of cosines, as many of sines, and 2 GiB of keys and values in each layer."""
    shape = {"d_model": 16, "n_layers": 2, "n_heads": 2, "n_kv_heads": 2, "head_dim": 1024, "d_ff": 32}
    mtp = {"horizon": 1, "kind": "sequential"} if speculate else {}
    model = Transformer(
        Config.model_validate({"model": {**shape, "context_length": LONG}, "mtp": mtp, "evaluation": {"tokens": LONG}}),
        257,
    )
    model.initialise(0)
    freeze(model)
    before = address_space()
    engine = Engine(model, ByteTokenizer(), make_backend(model, choice))
    done = engine.generate("def ", Request(4, Sampling(temperature=0.0), speculate=speculate)).finished()
    assert len(done.tokens) == 4
    assert address_space() - before < MANY


@pytest.mark.parametrize(
    ("which", "name"),
    [pytest.param("torch", name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in GROWING]
    + [pytest.param("native", name, marks=NATIVE) for name in GROWING],
)
def test_room_that_grows_in_the_middle_of_a_text_changes_no_bit(which: str, name: str) -> None:
    """Against one that had read as many tokens before, and so has all the room from the start."""
    model, tokens = build(context_length=1000, **CASES[name]), random_tokens(sum(PIECES))
    freeze(model)
    grows, ready = BACKENDS[which](model), BACKENDS[which](model)
    ready.forward(random_tokens(len(tokens), seed=1))
    ready.truncate(0)
    for piece in torch.tensor(tokens).split(list(PIECES)):
        found, expected = (each.forward(piece.tolist(), every=True) for each in (grows, ready))
        assert torch.equal(found, expected)


@NATIVE
def test_a_decoder_tells_its_bytes_as_they_grow() -> None:
    decoder = NativeDecoder(build(context_length=2048))
    sizes = [decoder.nbytes]
    for count in (1, 255, 1, 800):
        decoder.forward(random_tokens(count))
        sizes.append(decoder.nbytes)
    assert sizes[0] < sizes[1] == sizes[2] < sizes[3] < sizes[4]
    decoder.truncate(0)
    assert decoder.nbytes == sizes[4]  # kept for the next text


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_angles_do_not_depend_on_how_many_there_are(dtype: torch.dtype) -> None:
    grows, whole = (RotaryTable(head_dim=20, length=5000, theta=10_000.0) for _ in range(2))
    positions = torch.arange(5000)[None]
    expected = whole.at(positions, dtype, 5000)
    for end in (3, 256, 257, 2000, 5000, 9):
        found = grows.at(positions[:, :end], dtype, end)
        assert torch.equal(found.cos, expected.cos[:, :end]) and torch.equal(found.sin, expected.sin[:, :end])
