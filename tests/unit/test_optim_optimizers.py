"""The optimizers of a model together: factors, clipping, exact state, memory."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from nanocore.errors import CheckpointError
from nanocore.model.roles import Role
from nanocore.optim.optimizers import Optimizers
from tests.tiny import tiny_config


class Toy(nn.Module):
    """One parameter of each role."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.matrix = nn.Parameter(torch.randn(width, 8))
        self.other_matrix = nn.Parameter(torch.randn(8, width))
        self.embedding = nn.Parameter(torch.randn(9, width))
        self.norm = nn.Parameter(torch.ones(width))
        self.mixing = nn.Parameter(torch.randn(2, 2))

    def roles(self) -> Mapping[str, Role]:
        return {
            "matrix": "matrix", "other_matrix": "matrix", "embedding": "embedding", "norm": "norm", "mixing": "mixing",
        }  # fmt: skip

    def give_gradients(self, seed: int) -> None:
        torch.manual_seed(seed)
        for parameter in self.parameters():
            parameter.grad = torch.randn_like(parameter)

    def values(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self.named_parameters()}


COMBINATIONS = [("muon", "adamw"), ("muon", "lion"), ("adamw", "adamw"), ("lion", "lion")]


def build(*sets: str, matrices: str = "muon", others: str = "adamw", width: int = 6) -> tuple[Toy, Optimizers]:
    model = Toy(width)
    return model, Optimizers(model, tiny_config(f"optimizer.matrices={matrices}", f"optimizer.others={others}", *sets))


def run(model: Toy, optimizers: Optimizers, seeds: range) -> None:
    for seed in seeds:
        model.give_gradients(seed)
        optimizers.clip(1.0)
        optimizers.step(1.0 / (1 + seed), 1.0)


@pytest.mark.parametrize(("matrices", "others"), COMBINATIONS)
def test_a_restored_optimizer_continues_bit_for_bit(matrices: str, others: str) -> None:
    model, optimizers = build("optimizer.matrix_weight_decay=0.1", matrices=matrices, others=others)
    run(model, optimizers, range(3))
    saved = {name: tensor.clone() for name, tensor in optimizers.state_tensors().items()}
    again, restored = build("optimizer.matrix_weight_decay=0.1", matrices=matrices, others=others)
    again.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    restored.load_state_tensors(saved)
    run(model, optimizers, range(3, 6))
    run(again, restored, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    for name, tensor in restored.state_tensors().items():
        assert torch.equal(tensor, optimizers.state_tensors()[name])
        assert not torch.equal(tensor, saved[name])


def test_state_has_a_name_for_each_parameter_and_slot() -> None:
    model, optimizers = build(others="lion")
    run(model, optimizers, range(2))
    state = optimizers.state_tensors()
    assert set(state) == {
        "matrix.momentum_buffer", "other_matrix.momentum_buffer", "embedding.exp_avg", "norm.exp_avg",
        "mixing.step", "mixing.exp_avg", "mixing.exp_avg_sq",
    }  # fmt: skip
    assert state["mixing.step"].item() == 2
    assert all(tensor.abs().max() > 0 for tensor in state.values())


def test_state_of_another_model_is_refused_before_anything_changes() -> None:
    _, other = build(width=4)
    model, optimizers = build()
    run(model, optimizers, range(2))
    before = {name: tensor.clone() for name, tensor in optimizers.state_tensors().items()}
    partial = dict(list(before.items())[:-1])
    for wrong in (other.state_tensors(), partial, {**before, "ghost.exp_avg": torch.zeros(1)}):
        with pytest.raises(CheckpointError, match="optimizer state"):
            optimizers.load_state_tensors(wrong)
    assert all(torch.equal(tensor, before[name]) for name, tensor in optimizers.state_tensors().items())


@pytest.mark.parametrize(("matrices", "others"), COMBINATIONS)
def test_memory_is_one_float_a_value_and_two_under_adamw(matrices: str, others: str) -> None:
    model, optimizers = build(matrices=matrices, others=others)
    expected = 0
    for name, parameter in model.named_parameters():
        adamw = (others if name in ("embedding", "norm") else "adamw" if name == "mixing" else matrices) == "adamw"
        expected += parameter.numel() * 4 * (1 + adamw) + 4 * adamw
    assert optimizers.live_bytes() == expected
    run(model, optimizers, range(2))
    assert optimizers.live_bytes() == expected


def test_factors_scale_rate_and_decay_of_every_group() -> None:
    model, optimizers = build("optimizer.matrix_weight_decay=0.5", "optimizer.other_weight_decay=0.25")
    before = model.values()
    model.give_gradients(0)
    optimizers.step(0.0, 1.0)
    assert all(torch.equal(value, before[name]) for name, value in model.values().items())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    fresh_model, fresh = build(
        "optimizer.matrix_weight_decay=0.5", "optimizer.other_weight_decay=0.25",
        "optimizer.matrix_lr=0.1", "optimizer.embedding_lr=0.2",
    )  # fmt: skip
    for parameter in fresh_model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    fresh.step(0.5, 0.5)
    kept = {"matrix": 1 - 0.05 * 0.25, "other_matrix": 1 - 0.05 * 0.25, "embedding": 1 - 0.1 * 0.125}
    for name, value in fresh_model.values().items():
        torch.testing.assert_close(value, before[name] * kept.get(name, 1.0))
    fresh.step(0.5, 0.0)
    torch.testing.assert_close(fresh_model.values()["matrix"], before["matrix"] * kept["matrix"])


UNUSUAL = (
    "optimizer.beta1=0.6",
    "optimizer.beta2=0.7",
    "optimizer.matrix_weight_decay=0.1",
    "optimizer.matrix_lr=0.01",
)


def three_steps(*sets: str, method: str) -> tuple[Toy, Optimizers]:
    model, optimizers = build(*UNUSUAL, *sets, matrices=method, others=method)
    for seed in range(3):
        model.give_gradients(seed)
        optimizers.step(1.0, 1.0)
    return model, optimizers


def test_three_steps_of_adamw_are_those_of_torch_with_the_betas_and_eps_of_the_configuration() -> None:
    model, optimizers = three_steps("optimizer.eps=0.01", method="adamw")
    twin = Toy()
    named = dict(twin.named_parameters())
    tables = [
        {"params": [named[name] for name in group.parameters], "lr": group.lr, "weight_decay": group.weight_decay}
        for group in optimizers.groups
    ]
    theirs = torch.optim.AdamW(tables, betas=(0.6, 0.7), eps=0.01, fused=False)
    for seed in range(3):
        twin.give_gradients(seed)
        theirs.step()
    for name, value in model.values().items():
        torch.testing.assert_close(value, named[name].detach(), rtol=1e-6, atol=1e-7)


def test_three_steps_of_lion_are_its_formula_with_the_betas_of_the_configuration() -> None:
    model, _ = three_steps(method="lion")
    twin = Toy()
    weight, momentum = twin.matrix.detach().double(), torch.zeros_like(twin.matrix).double()
    for seed in range(3):
        twin.give_gradients(seed)
        assert twin.matrix.grad is not None
        gradient = twin.matrix.grad.double()
        weight = weight * (1 - 0.01 * 0.1) - 0.01 * (0.6 * momentum + 0.4 * gradient).sign()
        momentum = 0.7 * momentum + 0.3 * gradient
    torch.testing.assert_close(model.matrix.detach().double(), weight, rtol=1e-6, atol=1e-7)


def test_clipping_bounds_the_norm_over_all_parameters() -> None:
    model, optimizers = build()
    model.give_gradients(0)
    gradients = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    for measured_only in (0.0, norm.item() * 2):
        torch.testing.assert_close(optimizers.clip(measured_only), norm)
        assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    torch.testing.assert_close(optimizers.clip(0.5), norm)
    torch.testing.assert_close(optimizers.clip(0.0), torch.tensor(0.5), rtol=1e-4, atol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_non_finite_norm_is_told(bad: float) -> None:
    model, optimizers = build()
    model.give_gradients(0)
    assert model.norm.grad is not None
    model.norm.grad[2] = bad
    assert not torch.isfinite(optimizers.clip(1.0))


def test_zero_grad_drops_gradients() -> None:
    model, optimizers = build()
    model.give_gradients(0)
    optimizers.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())
