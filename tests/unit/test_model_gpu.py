"""The same numbers on a GPU as on the CPU."""

from __future__ import annotations

import copy

import pytest
import torch

from nanokernels.int_matmul import float_matmul, int8_matmul
from tests.models import make_model, next_token_loss, random_tokens, relative_error

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]


@pytest.mark.parametrize(("rows", "columns", "outputs"), [(1, 13, 7), (17, 64, 32), (300, 2051, 65)])
def test_integer_products_are_exact_on_the_gpu(rows: int, columns: int, outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(-127, 128, (rows, columns), generator=generator, dtype=torch.int8)
    ternary = torch.randint(-1, 2, (outputs, columns), generator=generator, dtype=torch.int8)
    exact = (codes.long() @ ternary.long().T).float()
    for product in (int8_matmul, float_matmul):
        assert torch.equal(product(codes.cuda(), ternary.cuda()).cpu(), exact)


@pytest.mark.parametrize("keys", [{}, {"streams": 4, "dynamic": True, "sub_norm": True}, {"linear": "float"}])
def test_logits_and_gradients_agree_with_the_cpu_in_float64(keys: dict[str, object]) -> None:
    here, tokens = make_model(**keys).double(), random_tokens(2, 24)
    there = copy.deepcopy(here).cuda()
    assert relative_error(there.logits(there(tokens.cuda())).cpu(), here.logits(here(tokens))) <= 1e-9
    next_token_loss(here, tokens).backward()
    next_token_loss(there, tokens.cuda()).backward()
    for (name, one), other in zip(here.named_parameters(), there.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        assert torch.allclose(one.grad, other.grad.cpu(), rtol=1e-6, atol=1e-12), name


def test_initial_weights_do_not_depend_on_the_device() -> None:
    here, there = make_model(seed=3), make_model(seed=4).cuda()
    there.initialise(3)
    for one, other in zip(here.parameters(), there.parameters(), strict=True):
        assert torch.equal(one, other.cpu())
