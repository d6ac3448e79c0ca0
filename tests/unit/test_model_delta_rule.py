"""The delta rule: its chunked form against the recurrence, and what the recurrence must do."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from nanocore.model.delta_rule import chunked, recurrent
from tests.models import relative_error

BATCH, HEADS, KEY, VALUE = 2, 3, 6, 5


def random_inputs(length: int, *, gated: bool = True, decay: float = 1.0, seed: int = 0) -> list[Any]:
    """q, k, v, beta and log_decay in float64, unit keys; `decay` is the scale of the log-decay."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(BATCH, length, HEADS, *shape, dtype=torch.float64, generator=generator)

    q, k = (torch.nn.functional.normalize(draw(KEY), dim=-1) for _ in range(2))
    log_decay = -draw().abs() * decay if gated else None
    return [q, k, draw(VALUE), draw().sigmoid(), log_decay]


def by_definition(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor | None) -> Tensor:
    """S = alpha S (I - beta k k^T) + beta v k^T and o = S q (arXiv 2412.06464, eq. 10), for every row and head alone."""
    out = torch.zeros_like(v)
    for b in range(v.shape[0]):
        for h in range(v.shape[2]):
            state = torch.zeros(VALUE, KEY, dtype=v.dtype)
            for t in range(v.shape[1]):
                key, strength = k[b, t, h], beta[b, t, h]
                alpha = 1.0 if log_decay is None else log_decay[b, t, h].exp()
                erase = torch.eye(KEY, dtype=v.dtype) - strength * torch.outer(key, key)
                state = alpha * state @ erase + strength * torch.outer(v[b, t, h], key)
                out[b, t, h] = state @ q[b, t, h]
    return out


@pytest.mark.parametrize("gated", [True, False])
def test_the_recurrence_is_the_published_one(gated: bool) -> None:
    inputs = random_inputs(9, gated=gated)
    assert relative_error(recurrent(*inputs)[0], by_definition(*inputs)) < 1e-12


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize(("length", "chunk"), [(16, 4), (13, 4), (3, 8), (1, 4), (12, 12)])
def test_chunked_equals_the_recurrence_in_values_and_gradients(length: int, chunk: int, gated: bool) -> None:
    inputs = random_inputs(length, gated=gated)
    state = torch.randn(BATCH, HEADS, KEY, VALUE, dtype=torch.float64)
    leaves = [x.requires_grad_() for x in (*inputs, state) if x is not None]
    expected, found = recurrent(*inputs, state), chunked(*inputs, chunk=chunk, state=state)
    weights = [torch.randn_like(x) for x in expected]
    for one, other in zip(found, expected, strict=True):
        assert relative_error(one, other) < 1e-10
    gradients = [torch.autograd.grad(result, leaves, weights) for result in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-10)


def test_keys_of_beta_one_are_recalled_exactly() -> None:
    """Orthonormal keys do not disturb each other, and a key written again holds its newest value."""
    keys = torch.linalg.qr(torch.randn(KEY, KEY, dtype=torch.float64)).Q
    order = torch.tensor([*range(KEY), 2])
    k = keys[order].view(1, -1, 1, KEY)
    v = torch.randn(1, KEY + 1, 1, VALUE, dtype=torch.float64)
    _, state = chunked(k, k, v, torch.ones(1, KEY + 1, 1, dtype=torch.float64), None, chunk=4)
    recalled = keys @ state[0, 0]
    expected = v[0, [0, 1, KEY, 3, 4, 5], 0]
    assert torch.allclose(recalled, expected, rtol=1e-12, atol=1e-12)


def test_no_decay_is_deltanet() -> None:
    q, k, v, beta, _ = random_inputs(11, gated=False)
    without, zeros = (chunked(q, k, v, beta, decay, chunk=4)[0] for decay in (None, torch.zeros_like(beta)))
    assert torch.equal(without, zeros)
    assert relative_error(chunked(q, k, v, beta, zeros[..., 0] * 0 - 0.1, chunk=4)[0], without) > 1e-2


def test_without_writing_the_state_only_decays() -> None:
    q, k, v, beta, log_decay = random_inputs(11)
    state = torch.randn(BATCH, HEADS, KEY, VALUE, dtype=torch.float64)
    _, last = chunked(q, k, v, beta * 0, log_decay, chunk=4, state=state)
    assert torch.allclose(last, state * log_decay.sum(1).exp()[..., None, None], rtol=1e-12)


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("borders", [[(0, 5, 6, 17, 22), (0, 8, 16, 22)], [(0, 22), (0, 1, 2, 22)]])
def test_documents_in_one_row_get_what_they_get_alone(gated: bool, borders: list[tuple[int, ...]]) -> None:
    """Borders inside chunks, at their edges, several in one; a given state belongs to the first document."""
    inputs = random_inputs(22, gated=gated)
    state = torch.randn(BATCH, HEADS, KEY, VALUE, dtype=torch.float64)
    starts = torch.stack([torch.bincount(torch.tensor(row), minlength=23)[:22] for row in borders])
    packed, last = chunked(*inputs, chunk=4, documents=starts.cumsum(1) - 1, state=state)
    for row, edges in enumerate(borders):
        for start, end in pairwise(edges):
            alone = [x if x is None else x[row : row + 1, start:end] for x in inputs]
            out, after = recurrent(*alone, None if start else state[row : row + 1])
            assert relative_error(packed[row : row + 1, start:end], out) < 1e-10
        assert relative_error(last[row : row + 1], after) < 1e-10


def test_no_gradient_crosses_a_document_border() -> None:
    inputs = [x.requires_grad_() for x in random_inputs(10)]
    out, _ = chunked(*inputs, chunk=4, documents=torch.tensor([[0] * 6 + [1] * 4]).expand(2, -1))
    for gradient in torch.autograd.grad(out[:, 6:].square().sum(), inputs):
        assert not gradient[:, :6].any()
        assert gradient[:, 7:].any()


def test_later_tokens_change_nothing_before_them() -> None:
    inputs, others = random_inputs(14), random_inputs(14, seed=1)
    mixed = [torch.cat((one[:, :7], other[:, 7:]), dim=1) for one, other in zip(inputs, others, strict=True)]
    before, after = chunked(*inputs, chunk=4)[0], chunked(*mixed, chunk=4)[0]
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7], after[:, 7])


@pytest.mark.parametrize("decay", [1.0, 1e3, 1e30])
def test_strong_decay_stays_finite_and_exact_in_float32(decay: float) -> None:
    """Tokens that wipe the memory stand among tokens that keep nearly all of it."""
    inputs = random_inputs(24, decay=1e-3)
    inputs[4][:, ::5] *= decay * 1e3
    expected = recurrent(*inputs)[0]
    leaves = [x.float().requires_grad_() for x in inputs]
    found = chunked(*leaves, chunk=8)[0]
    assert found.dtype == torch.float32
    assert relative_error(found, expected) < 1e-5
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(found.sum(), leaves))


def test_one_key_repeated_is_solved_exactly_in_float32() -> None:
    """The matrix I + A is then all ones below its diagonal: powers of A, as some inverses use, would reach 1e7."""
    q, k, v, beta, _ = random_inputs(32, gated=False)
    k, beta = k[:, :1].expand_as(k), torch.ones_like(beta)
    expected = recurrent(q, k, v, beta, None)[0]
    found = chunked(*(x.float() for x in (q, k, v, beta)), None, chunk=32)[0]
    assert relative_error(found, expected) < 1e-5


def test_half_precision_goes_in_and_out_and_sums_are_wide() -> None:
    inputs = [x.bfloat16() for x in random_inputs(12)]
    expected = recurrent(*(x.double() for x in inputs))[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for out, state in (chunked(*inputs, chunk=4), recurrent(*inputs)):
            assert (out.dtype, state.dtype) == (torch.bfloat16, torch.float32)
            assert torch.allclose(out.double(), expected, rtol=2**-8, atol=1e-5)
