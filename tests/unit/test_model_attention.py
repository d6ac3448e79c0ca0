"""Attention: positions, grouped heads, norms of queries and keys, causality and document borders."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from nanocore.model.norm import RMSNorm
from nanocore.model.rotary import RotaryTable, rotate
from nanocore.model.transformer import document_mask
from tests.models import make_model, random_tokens, relative_error


def test_rms_norm_matches_torch_forward_and_backward() -> None:
    norm = RMSNorm(16, 1e-5).double()
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(3, 5, 16, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.rms_norm(x, (16,), norm.weight, 1e-5)
    assert torch.allclose(norm(x), expected, rtol=1e-12)
    d_y = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad(norm(x), (x, norm.weight), d_y),
        torch.autograd.grad(expected, (x, norm.weight), d_y),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_rotation_turns_pairs_by_position_times_frequency() -> None:
    table = RotaryTable(head_dim=4, length=10, theta=100.0)
    x = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64).view(1, 1, 1, 4)
    turned = rotate(x, table.at(torch.tensor([[7]]), torch.float64, 8)).flatten().tolist()
    for pair, angle in ((0, 7.0), (1, 7.0 / 10.0)):  # theta^(-2 i / head_dim): 1 and 1/10
        first, second = float(x[0, 0, 0, pair]), float(x[0, 0, 0, pair + 2])
        assert turned[pair] == pytest.approx(first * math.cos(angle) - second * math.sin(angle), abs=1e-12)
        assert turned[pair + 2] == pytest.approx(second * math.cos(angle) + first * math.sin(angle), abs=1e-12)


def test_products_of_rotated_vectors_depend_on_the_distance_alone() -> None:
    table = RotaryTable(head_dim=8, length=50, theta=10_000.0)
    generator = torch.Generator().manual_seed(1)
    query, key = (torch.randn(1, 1, 1, 8, dtype=torch.float64, generator=generator) for _ in range(2))

    def product(i: int, j: int) -> float:
        places = [rotate(x, table.at(torch.tensor([[p]]), torch.float64, 50)) for x, p in ((query, i), (key, j))]
        return float((places[0] * places[1]).sum())

    assert product(9, 4) == pytest.approx(product(45, 40), rel=1e-12)
    assert product(9, 4) != pytest.approx(product(9, 5), rel=1e-3)


def test_gradient_of_a_rotation_is_the_turn_back() -> None:
    rotation = RotaryTable(8, 16, 10_000.0).at(torch.arange(6).expand(2, 6), torch.float64, 6)
    x = torch.randn(2, 6, 3, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotate(x, rotation), (x,))


def test_query_head_h_reads_key_value_head_h_over_group() -> None:
    """A model with 4 query and 2 key-value heads equals one whose 4 key-value heads repeat them as 0, 0, 1, 1."""
    grouped, full = make_model(n_kv_heads=2, linear="float").double(), make_model(n_kv_heads=4, linear="float").double()
    state = grouped.state_dict()
    for name in state:
        if name.endswith(("key.weight", "value.weight")):
            state[name] = state[name].view(2, 8, 32).repeat_interleave(2, dim=0).flatten(0, 1)
    full.load_state_dict(state)
    tokens = random_tokens(2, 20)
    assert relative_error(full(tokens), grouped(tokens)) < 1e-12


def test_qk_norm_makes_attention_blind_to_the_size_of_queries() -> None:
    for qk_norm, blind in ((True, True), (False, False)):
        model = make_model(qk_norm=qk_norm, linear="float").double()
        tokens = random_tokens(1, 16)
        before = model(tokens)
        with torch.no_grad():
            for block in model.blocks:
                block.attention.query.weight.mul_(1000.0)
        assert (relative_error(model(tokens), before) < 1e-3) is blind


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("documents", [False, True])
def test_a_changed_token_leaves_all_earlier_logits_bit_identical(streams: int, documents: bool) -> None:
    model = make_model(streams=streams, dynamic=streams > 1)
    tokens, arguments = random_tokens(2, 24), {}
    if documents:
        arguments["documents"] = (torch.arange(24) // 9).expand(2, 24)
    changed = tokens.clone()
    changed[:, 15] = (changed[:, 15] + 1) % 61
    before, after = model.logits(model(tokens, **arguments)), model.logits(model(changed, **arguments))
    assert torch.equal(before[:, :15], after[:, :15])
    assert not torch.equal(before[:, 15], after[:, 15])
    assert not torch.equal(before[:, 17], after[:, 17])


@pytest.mark.parametrize("keys", [{}, {"streams": 4, "dynamic": True, "sub_norm": True, "activation": "relu2"}])
def test_documents_in_one_row_get_the_logits_they_get_alone(keys: dict[str, object]) -> None:
    model = make_model(**keys).double()
    tokens = random_tokens(2, 24)
    documents = torch.tensor([[0] * 5 + [1] * 12 + [2] * 7, [0] * 20 + [1] * 4])
    positions = torch.tensor([[*range(5), *range(12), *range(7)], [*range(20), *range(4)]])
    packed = model.logits(model(tokens, positions=positions, documents=documents))
    for row, borders in ((0, (0, 5, 17, 24)), (1, (0, 20, 24))):
        for start, end in pairwise(borders):
            alone = model.logits(model(tokens[row : row + 1, start:end]))
            assert relative_error(packed[row : row + 1, start:end], alone) < 1e-9


def test_document_mask_lets_a_token_see_earlier_tokens_of_its_document() -> None:
    mask = document_mask(torch.tensor([[0, 0, 1, 1]]))
    assert mask.shape == (1, 1, 4, 4)
    assert mask[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
