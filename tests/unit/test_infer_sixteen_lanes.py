"""The decoder's loops at the width of AVX-512 on any machine: their own sources, on vectors of 16 floats in plain C.

What remains for a machine with AVX-512 is the intrinsics of decoder_vector_avx512.h.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.packed_model import pack_model
from nanokernels import build, decoder, native
from nanokernels.decoder import Number
from tests.native_models import CASES, distances, in_pieces, random_tokens
from tests.native_models import build as build_model

NATIVE = Path(__file__).parents[1] / "native"
FLAGS = ["-std=gnu11", "-O0", "-ffp-contract=off", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
LONG = ("plain", "4 streams, lite, dynamic", "experts", "gated DeltaNet", "early exit")
pytestmark = [
    pytest.mark.slow,  # every loop is compiled with sixteen lanes
    pytest.mark.skipif(
        not shutil.which("cc") or native.find().library is None, reason="needs a C compiler and native kernels"
    ),
]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> CDLL:
    """The library with 16 lanes for 4."""
    target = tmp_path_factory.mktemp("wide") / "wide.so"
    sources = [path for path in build.sources() if path.name != "decoder_loops_portable.c"]
    places = [f"-I{build.CSRC}", str(NATIVE / "decoder_loops_16.c"), *map(str, sources)]
    subprocess.run(["cc", *FLAGS, *places, "-shared", "-o", str(target), "-lpthread", "-lm"], check=True)
    return native.load(target)


@contextmanager
def used(library: CDLL) -> Iterator[None]:
    """Decoders made in this context are the library's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "find", lambda: native.Found(library, "a test", ""))
        decoder._library.cache_clear()
        try:
            yield
        finally:
            decoder._library.cache_clear()


def both(wide: CDLL, name: str, tokens: list[list[int]], head: Number = "float32") -> tuple[Tensor, Tensor]:
    """Logits of each text, with the library here and with that of 16 lanes."""
    model = build_model(**CASES[name])
    found = []
    for library in (native.find().library, wide):
        assert library is not None
        with used(library):
            reader = NativeDecoder(pack_model(model, head=head))
            found.append(torch.cat([in_pieces(reader, text) for text in tokens]))
    return found[0], found[1]


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_this_machine_s_own_loops(wide: CDLL, name: str) -> None:
    here, there = both(wide, name, [random_tokens(16, seed) for seed in range(6)])
    assert distances(there, here).median() < 1e-6


@pytest.mark.parametrize("name", LONG)
def test_so_are_those_of_texts_longer_than_a_panel_of_keys(wide: CDLL, name: str) -> None:
    here, there = both(wide, name, [random_tokens(110)])
    assert distances(there, here).median() < 1e-6


@pytest.mark.parametrize("head", ["float32", "bfloat16", "float16", "int8"])
def test_so_are_those_of_heads_in_every_kind_of_number(wide: CDLL, head: Number) -> None:
    here, there = both(wide, "untied head", [random_tokens(16)], head)
    assert distances(there, here).median() < 1e-6
