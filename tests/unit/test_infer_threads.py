"""How many threads decode: measured once for a model's shape, unless the caller says, and no bit depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nanocore.errors import UsageError
from nanocore.infer import decoder_threads
from nanocore.infer import open as open_module
from nanocore.infer.backend import make_backend
from nanocore.infer.locate import locate
from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.open import open_engine
from nanokernels import autotune, native
from tests.native_models import CASES, build, random_tokens
from tests.saved import saved_run

pytestmark = pytest.mark.skipif(native.find().library is None, reason="not run: no native kernels here")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of threads that were timed; two are the fastest."""
    timed: list[int] = []
    seconds = {1: 2.0, 2: 1.0, 3: 3.0, 4: 4.0}
    monkeypatch.setattr(decoder_threads, "_seconds", lambda model, count: timed.append(count) or seconds[count])
    return timed


def test_the_fastest_number_is_measured_once_for_a_shape(asked: list[int]) -> None:
    model, wider = build(**CASES["plain"]), build(context_length=64, d_ff=96)
    assert decoder_threads.fastest_threads(model, 4) == decoder_threads.fastest_threads(model, 4) == 2
    assert asked == [1, 2, 4]
    assert decoder_threads.fastest_threads(wider, 4) == 2 and asked == [1, 2, 4] * 2
    assert decoder_threads.fastest_threads(model, 1) == 1 and len(asked) == 6
    assert sum("decoding 3 layers" in key for key in autotune.inspect()) == 2


def test_tokens_that_are_timed_fit_the_shortest_context() -> None:
    for context_length in (128, 8):
        assert decoder_threads._seconds(build(context_length=context_length), 2) > 0


def test_a_number_that_was_asked_for_is_taken(asked: list[int]) -> None:
    model = build(**CASES["plain"])
    fixed, chosen = make_backend(model, threads=4), make_backend(model, threads=4, fewer_threads=True)
    assert asked == [1, 2, 4]
    assert isinstance(fixed, NativeDecoder) and isinstance(chosen, NativeDecoder)
    tokens = random_tokens(9)
    assert torch.equal(fixed.forward(tokens), chosen.forward(tokens))


def test_an_engine_chooses_only_where_nothing_is_said(
    asked: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_module, "allowed_threads", lambda requested: 2)  # also where there is one processor
    source, before = locate(saved_run(tmp_path).path, 3), torch.get_num_threads()
    try:
        open_engine(source, threads=2)
        assert not asked
        open_engine(source)
        assert asked == [1, 2]
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="torch finds no GPU here; choose another backend"):
        open_engine(locate(saved_run(tmp_path).path, 3), backend="cuda")
