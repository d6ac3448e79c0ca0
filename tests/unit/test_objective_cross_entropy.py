"""Chunked cross-entropy is exactly the plain one, and never holds all logits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nanocore.objective.cross_entropy import linear_cross_entropy
from nanocore.objective.regularisers import PLAIN, Regularisers

N, C, V = 13, 6, 11


def example(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, head and targets, some of them without loss."""
    torch.manual_seed(1)
    hidden = torch.randn(N, C, dtype=dtype, requires_grad=True)
    weight = torch.randn(V, C, dtype=dtype, requires_grad=True)
    targets = torch.randint(0, V, (N,))
    targets[[2, 5, 12]] = -1
    return hidden, weight, targets


def plain(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(hidden @ weight.mT, targets, ignore_index=-1, reduction="sum")


def gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, inputs)


class Watch(TorchDispatchMode):
    """Largest tensor any operation makes, and how many matrix products there are."""

    largest, products = 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        self.products += func.overloadpacket is torch.ops.aten.mm
        if isinstance(out, Tensor):
            self.largest = max(self.largest, out.numel())
        return out


@pytest.mark.parametrize("chunk", [1, 4, 13, 1000, 0])
@pytest.mark.parametrize("scale", [1.0, 1 / 7])
def test_value_and_gradients_equal_the_plain_loss(chunk: int, scale: float) -> None:
    hidden, weight, targets = example()
    expected = plain(hidden, weight, targets) * scale
    found = linear_cross_entropy(hidden, weight, targets, chunk=chunk).total * scale
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(gradients(found, hidden, weight), gradients(expected, hidden, weight), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("chunk", [4, 100])
def test_statistics_are_those_of_the_predicted_distribution(chunk: int) -> None:
    hidden, weight, targets = example()
    found = linear_cross_entropy(hidden, weight, targets, chunk=chunk)
    kept = targets >= 0
    logits = (hidden @ weight.mT).detach()
    entropies = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(found.entropy_sum, entropies[kept].sum(), rtol=1e-12, atol=0)
    assert found.count.item() == kept.sum() == N - 3
    assert found.correct.item() == (logits.argmax(-1) == targets)[kept].sum()
    each = F.cross_entropy(logits, targets, ignore_index=-1, reduction="none")
    torch.testing.assert_close(found.per_token, each, rtol=1e-12, atol=1e-12)
    assert not any(t.requires_grad for t in (found.per_token, found.entropy_sum, found.correct, found.count))


def test_a_certain_right_prediction_is_correct_and_without_entropy() -> None:
    weight = torch.eye(V, C)
    found = linear_cross_entropy(100.0 * torch.eye(3, C), weight, torch.tensor([0, 1, 3]))
    assert found.correct.item() == 2
    assert found.entropy_sum.item() == pytest.approx(0.0, abs=1e-6)


def test_no_targets_give_zero_and_zero_gradients() -> None:
    hidden, weight, _ = example()
    found = linear_cross_entropy(hidden, weight, torch.full((N,), -1), chunk=4)
    assert (found.sum.item(), found.count.item(), found.correct.item()) == (0.0, 0, 0)
    assert all(not gradient.any() for gradient in gradients(found.total, hidden, weight))


def test_logits_exist_for_one_chunk_only_and_are_computed_once() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(64, 4, requires_grad=True), torch.randn(50, 4, requires_grad=True)
    with Watch() as watch:
        linear_cross_entropy(hidden, weight, torch.zeros(64, dtype=torch.long), chunk=8).total.backward()
    assert watch.largest <= 8 * 50
    assert watch.products == 3 * (64 // 8)


def test_evaluation_has_the_same_values_and_no_gradient_work() -> None:
    hidden, weight, targets = example()
    trained = linear_cross_entropy(hidden, weight, targets, chunk=13)
    with torch.no_grad(), Watch() as watch:
        evaluated = linear_cross_entropy(hidden, weight, targets, chunk=13)
    assert watch.products == 1
    assert torch.equal(evaluated.sum, trained.total.detach())
    assert torch.equal(evaluated.per_token, trained.per_token)
    assert not evaluated.total.requires_grad


def test_autocast_multiplies_in_bfloat16_and_sums_in_float32() -> None:
    hidden, weight, targets = example(torch.float32)
    exact = linear_cross_entropy(hidden, weight, targets)
    with torch.autocast("cpu", torch.bfloat16):
        rough = linear_cross_entropy(hidden, weight, targets)
    assert rough.sum.dtype == torch.float32
    assert not torch.equal(rough.sum, exact.sum)
    torch.testing.assert_close(rough.sum, exact.sum, rtol=1e-2, atol=0)
    for mine, theirs in zip(
        gradients(rough.total, hidden, weight), gradients(exact.total, hidden, weight), strict=True
    ):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, theirs, rtol=0, atol=3e-2 * theirs.abs().max().item())


def test_huge_logits_stay_finite() -> None:
    hidden, weight, targets = example(torch.float32)
    found = linear_cross_entropy(hidden * 1e4, weight, targets)
    assert torch.isfinite(found.sum) and torch.isfinite(found.entropy_sum)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(found.total, hidden, weight))


ACTIVE = Regularisers(label_smoothing=0.1, z_loss=0.02, entropy_bonus=0.05)


def regularised(hidden: Tensor, weight: Tensor, targets: Tensor, terms: Regularisers) -> Tensor:
    """The formulas of label smoothing, z-loss and entropy bonus, by autograd on full logits."""
    kept = targets >= 0
    logits = (hidden @ weight.mT)[kept]
    log_p = logits.log_softmax(-1)
    smoothed = F.cross_entropy(logits, targets[kept], reduction="none", label_smoothing=terms.label_smoothing)
    entropy = -(log_p.exp() * log_p).sum(-1)
    return smoothed + terms.z_loss * logits.logsumexp(-1).square() - terms.entropy_bonus * entropy


@pytest.mark.parametrize(
    "terms", [ACTIVE, Regularisers(label_smoothing=0.2), Regularisers(z_loss=0.1), Regularisers(entropy_bonus=0.3)]
)
@pytest.mark.parametrize("chunk", [4, 100])
def test_regularisers_equal_their_formulas(terms: Regularisers, chunk: int) -> None:
    hidden, weight, targets = example()
    expected = regularised(hidden, weight, targets, terms).sum()
    found = linear_cross_entropy(hidden, weight, targets, chunk=chunk, regularisers=terms)
    torch.testing.assert_close(found.total, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.sum, plain(hidden, weight, targets).detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.sum + found.extra.sum(), found.total.detach(), rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(gradients(found.total, hidden, weight), gradients(expected, hidden, weight), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("terms", [PLAIN, ACTIVE])
def test_weights_scale_each_token_and_get_its_loss_as_gradient(terms: Regularisers) -> None:
    hidden, weight, targets = example()
    weights = torch.rand(N, dtype=torch.float64, requires_grad=True)
    kept = targets >= 0
    expected = (regularised(hidden, weight, targets, terms) * weights[kept]).sum()
    found = linear_cross_entropy(hidden, weight, targets, chunk=4, weights=weights, regularisers=terms)
    torch.testing.assert_close(found.total, expected, rtol=1e-12, atol=1e-12)
    inputs = (hidden, weight, weights)
    for mine, theirs in zip(gradients(found.total, *inputs), gradients(expected, *inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_without_regularisers_the_total_is_the_plain_loss_to_the_bit() -> None:
    hidden, weight, targets = example(torch.float32)
    found = linear_cross_entropy(hidden, weight, targets, chunk=4)
    assert torch.equal(found.total.detach(), found.sum) and not found.extra.any()
