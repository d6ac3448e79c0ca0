"""FP4 study mode inside the linears: which matmul it touches, what it leaves alone, and its random numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model import fp4_study
from nanocore.model.bitlinear import BitLinear, FloatLinear, make_linear, project
from nanocore.model.fp4 import fake_quantise, hadamard
from nanocore.model.fp4_study import Fp4Study, begin_step, make_study
from nanocore.model.transformer import Transformer
from nanokernels.plain import token_codes
from tests.models import VOCABULARY, make_model, model_config, next_token_loss, random_tokens, relative_error

FORMATS = ["nvfp4", "mxfp4", "token"]
NEAREST: dict[str, Any] = {"stochastic_rounding": False, "hadamard": False}
OFF: dict[str, Any] = {"forward": False, "input_gradient": False, "weight_gradient": False}


def fp4_config(kind: str = "ternary", format: str = "nvfp4", **fp4: Any) -> Config:
    config = model_config(linear=kind)
    return Config.model_validate({**config.model_dump(), "fp4": {"format": format, **fp4}})


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layer(config: Config, inputs: int = 48, outputs: int = 40) -> FloatLinear:
    linear = make_linear(config, inputs, outputs)
    nn.init.normal_(linear.weight, std=0.02, generator=torch.Generator().manual_seed(0))
    return linear


def run(linear: FloatLinear, tokens: int = 37) -> tuple[Tensor, Tensor, Tensor]:
    """Output, input gradient and weight gradient of one use."""
    x = normal(tokens, linear.in_features, seed=1).to(linear.weight.dtype).requires_grad_()
    y = project(x, (linear,))[0]
    d_x, d_weight = torch.autograd.grad(
        y, (x, linear.weight), normal(tokens, linear.out_features, seed=2).to(y.dtype) * 1e-3
    )
    return y.detach(), d_x, d_weight


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_off_there_is_no_study_and_no_other_bit() -> None:
    assert make_study(model_config()) is None and make_linear(model_config(), 8, 8).fp4 is None
    for kind in ("ternary", "float"):
        plain, idle = run(layer(model_config(linear=kind))), run(layer(fp4_config(kind, **OFF)))
        assert all(torch.equal(one, other) for one, other in zip(plain, idle, strict=True))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["ternary", "float"])
def test_each_switch_changes_its_matmul_alone_and_by_a_bounded_error(kind: str, format: str) -> None:
    plain = run(layer(model_config(linear=kind)))
    for switch, touched in (("forward", 0), ("input_gradient", 1), ("weight_gradient", 2)):
        if kind == "ternary" and switch == "forward":
            continue
        found = run(layer(fp4_config(kind, format, **{**OFF, switch: True})))
        errors = [distance(one, other) for one, other in zip(found, plain, strict=True)]
        assert 0.02 < errors.pop(touched) < 0.35
        assert errors == [0.0, 0.0]


def test_the_ternary_gradients_are_products_of_the_quantised_operands() -> None:
    """dX = Q(dY) Wq with exact ternary weights, dW = Q(dY^T) Q(Xq^T)^T, both along the summed dimension."""
    linear = layer(fp4_config(**NEAREST)).double()
    _, d_x, d_weight = run(linear)
    d_y, codes = normal(37, 40, seed=2).double() * 1e-3, token_codes(normal(37, 48, seed=1))
    x_q = codes.codes * codes.scale
    assert isinstance(linear, BitLinear)
    w_q = linear.ternary().dequantise().double()
    assert relative_error(d_x, fake_quantise(d_y, "nvfp4").double() @ w_q) < 1e-12
    expected = fake_quantise(d_y.mT, "nvfp4").double() @ fake_quantise(x_q.mT, "nvfp4").mT.double()
    assert relative_error(d_weight, expected) < 1e-6


def test_the_float_twin_multiplies_with_one_weight_in_forward_and_backward() -> None:
    linear = layer(fp4_config("float", forward=True, **NEAREST)).double()
    y, d_x, d_weight = run(linear)
    x, d_y = normal(37, 48, seed=1), normal(37, 40, seed=2) * 1e-3
    weight = fake_quantise(linear.weight.detach(), "nvfp4", square=True).double()
    assert relative_error(y, fake_quantise(x, "nvfp4").double() @ weight.mT) < 1e-12
    assert relative_error(d_x, fake_quantise(d_y, "nvfp4").double() @ weight) < 1e-6
    expected = fake_quantise(d_y.mT, "nvfp4").double() @ fake_quantise(x.mT, "nvfp4").mT.double()
    assert relative_error(d_weight, expected) < 1e-6


@pytest.mark.parametrize("format", ["mxfp4", "token"])
def test_blocks_of_the_other_formats_run_along_what_each_matmul_sums_over(format: Any) -> None:
    linear = layer(fp4_config("float", format, forward=True, **NEAREST)).double()
    y, d_x, d_weight = run(linear)
    x, d_y, weight = normal(37, 48, seed=1), normal(37, 40, seed=2) * 1e-3, linear.weight.detach()
    rows, columns = (lambda m: fake_quantise(m, format).double()), (lambda m: fake_quantise(m.mT, format).mT.double())
    assert relative_error(y, rows(x) @ rows(weight).mT) < 1e-12
    assert relative_error(d_x, rows(d_y) @ columns(weight)) < 1e-6
    assert relative_error(d_weight, columns(d_y).mT @ columns(x)) < 1e-6


@pytest.mark.slow
def test_stochastic_rounding_leaves_the_input_gradient_unbiased() -> None:
    exact = run(layer(model_config()))[1]
    linear, total, draws = layer(fp4_config()), torch.zeros_like(exact), 300
    for step in range(draws):
        begin_step(linear, step)
        total += run(linear)[1]
    one = distance(run(linear)[1], exact)
    assert distance(total / draws, exact) < 1.3 * one / draws**0.5
    nearest = run(layer(fp4_config(**NEAREST)))[1]
    assert distance(nearest, exact) > 3 * distance(total / draws, exact)


def test_operands_of_both_gradients_are_unbiased_where_nearest_rounding_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transform is held, so that X is rounded the same each time and only dY is left to chance."""
    monkeypatch.setattr(fp4_study, "random_rotation", lambda _: hadamard(16))
    rows, x, draws = normal(16, 32, seed=1), normal(16, 8, seed=2), 100
    nearest, study = make_study(fp4_config(stochastic_rounding=False)), make_study(fp4_config())
    assert nearest is not None and study is not None

    def gradients(of: Fp4Study, step: int) -> tuple[Tensor, Tensor]:
        of.begin(step, rank=0, matrix=0)
        left, right = of.weight_gradient_operands(rows, x)
        return of.gradient(rows), left.mT @ right

    exact = rows, rows.mT @ hadamard(16).mT @ nearest.weight_gradient_operands(rows, x)[1]
    drawn = zip(*(gradients(study, step) for step in range(draws)), strict=True)
    means = [torch.stack(each).mean(0) for each in drawn]
    for mean, rounded, expected in zip(means, gradients(nearest, 0), exact, strict=True):
        assert distance(mean, expected) < distance(rounded, expected) / 4


def test_the_hadamard_transform_is_another_one_each_time_and_touches_the_weight_gradient_alone() -> None:
    exact, plain = run(layer(model_config())), run(layer(fp4_config(**NEAREST)))
    linear = layer(fp4_config(stochastic_rounding=False))
    first, second = run(linear), run(linear)
    assert torch.equal(first[1], plain[1])
    assert not torch.equal(first[2], plain[2]) and not torch.equal(first[2], second[2])
    assert distance(first[2], exact[2]) < 0.2


def test_random_numbers_belong_to_seed_step_rank_matrix_and_use() -> None:
    model = nn.ModuleList(layer(fp4_config()) for _ in range(2))

    def gradient(linear: nn.Module) -> Tensor:
        assert isinstance(linear, FloatLinear)
        return run(linear)[2]

    begin_step(model, 5, rank=1)
    first, second = gradient(model[0]), gradient(model[0])
    other = gradient(model[1])
    before = torch.get_rng_state()
    begin_step(model, 5, rank=1)  # as after a resume
    assert torch.equal(gradient(model[0]), first) and torch.equal(gradient(model[0]), second)
    assert torch.equal(torch.get_rng_state(), before)
    found = [first, second, other]
    for step, rank in ((6, 1), (5, 0)):
        begin_step(model, step, rank=rank)
        found.append(gradient(model[0]))
    assert all(not torch.equal(a, b) for i, a in enumerate(found) for b in found[:i])
    linear = model[0]
    assert isinstance(linear, FloatLinear) and linear.fp4 is not None
    linear.fp4 = Fp4Study(linear.fp4.settings, "nvfp4", seed=linear.fp4.seed + 1)
    begin_step(model, 5, rank=1)
    assert not torch.equal(gradient(linear), first)


def test_bfloat16_autocast_keeps_the_dtypes_of_the_plain_linears() -> None:
    for kind in ("ternary", "float"):
        linear, x = layer(fp4_config(kind)), normal(5, 48).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = linear(x)
        y.float().sum().backward()
        assert y.dtype == torch.bfloat16
        assert x.grad is not None and x.grad.dtype == torch.float32
        assert linear.weight.grad is not None and linear.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("kind", ["ternary", "float"])
def test_a_model_in_study_mode_has_the_same_loss_and_gradients_near_the_plain_ones(kind: str) -> None:
    plain, studied = make_model(linear=kind), Transformer(fp4_config(kind), VOCABULARY)
    studied.initialise(0)
    tokens = random_tokens(4, 24)
    losses = []
    for model in (plain, studied):
        losses.append(next_token_loss(model, tokens))
        losses[-1].backward()
    assert torch.equal(losses[0], losses[1])
    for (name, one), other in zip(studied.named_parameters(), plain.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        if name.endswith(("up.weight", "down.weight", "output.weight")):
            assert 0.01 < distance(one.grad, other.grad) < 0.6, name
