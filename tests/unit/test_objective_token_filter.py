"""Token filtering: what is kept, and that the filtered backward pass is exactly the one it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.data.batch import Batch
from nanocore.model import attention
from nanocore.model.transformer import Transformer
from nanocore.objective.cross_entropy import linear_cross_entropy
from nanocore.objective.goal import Goal
from nanocore.objective.micro_batch import MicroBatch, micro_batches
from nanocore.objective.token_filter import choose, importance_quantiles, kept_counts, union_with_further

V, B, T = 31, 3, 16


def config(**sections: Any) -> Config:
    table: dict[str, Any] = {
        "model": {"d_model": 16, "n_layers": 3, "n_heads": 4, "n_kv_heads": 2, "d_ff": 32, "context_length": T},
        "training": {"batch_size": B},
        "evaluation": {"tokens": T},
    }
    for name, values in sections.items():
        table[name] = {**table.get(name, {}), **values}
    return build(table)


def model(settings: Config, dtype: torch.dtype = torch.float64) -> Transformer:
    made = Transformer(settings, V)
    made.initialise(1)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "phi" in name:  # at its initial 0 a dynamic map would not depend on the token
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return made.to(dtype)


def batch(*, borders: bool = True) -> Batch:
    generator = np.random.default_rng(3)
    tokens = generator.integers(0, V, (B, T)).astype(np.int32)
    targets = generator.integers(0, V, (B, T)).astype(np.int32)
    targets[0, 4] = targets[2, 0] = -1
    documents = np.zeros((B, T), dtype=np.int32)
    if borders:
        documents[0, 5:] = 1
        documents[2, 9:] = 1
    starts = np.array([[np.flatnonzero(row == row[i])[0] for i in range(T)] for row in documents])
    return Batch(tokens, targets, (np.arange(T) - starts).astype(np.int32), documents)


def micro(of: Batch) -> MicroBatch:
    (only,) = micro_batches(of, rank=0, world=1, accumulation=1, device=torch.device("cpu"))
    return only


def filtered(made: Transformer, of: Batch) -> tuple[dict[str, Tensor], Any]:
    """Gradients and terms of the filtered loss."""
    part = micro(of)
    terms = Goal(made, made.config, of, filtering=True).terms(
        made(part.tokens, positions=part.positions, documents=part.documents), part
    )
    return gradients(made, terms.loss), terms


def gradients(made: Transformer, loss: Tensor) -> dict[str, Tensor]:
    made.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}


def detached(made: Transformer, of: Batch, keep: float, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """The oracle: plain autograd of the filtered loss with K and V of dropped positions detached in every layer."""
    part, weight = micro(of), made.head_weight
    with torch.no_grad():
        hidden = made(part.tokens, positions=part.positions, documents=part.documents)
        losses = linear_cross_entropy(hidden.flatten(0, 1), weight, part.targets.flatten()).per_token.view(B, T)
    counts = torch.from_numpy(kept_counts(of.targets, keep))
    kept = choose(losses, part.targets, counts)
    true_attention = attention.F.scaled_dot_product_attention

    def cut(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        mask = (kept | (part.targets < 0))[:, None, :, None]
        key, value = torch.where(mask, key, key.detach()), torch.where(mask, value, value.detach())
        return true_attention(query, key, value, **options)

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", cut)
    hidden = made(part.tokens, positions=part.positions, documents=part.documents)
    targets = part.targets.masked_fill(~kept, -1)
    loss = torch.nn.functional.cross_entropy(
        made.logits(hidden).flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum"
    )
    found = gradients(made, loss / counts.sum())
    monkeypatch.undo()
    return found


def assert_same(mine: dict[str, Tensor], theirs: dict[str, Tensor], tolerance: float) -> None:
    assert mine.keys() == theirs.keys()
    largest = max(float(each.abs().max()) for each in theirs.values())
    for name, value in theirs.items():
        torch.testing.assert_close(
            mine[name], value, rtol=0, atol=tolerance * largest, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("borders", [True, False])
@pytest.mark.parametrize(
    "sections",
    [
        {},
        pytest.param({"model": {"linear": "float"}}, marks=pytest.mark.slow),
        {"model": {"activation": "relu2", "sub_norm": True, "tie_embeddings": False}},
        {"mhc": {"streams": 2}},
        {"mhc": {"streams": 4, "dynamic": True}},
        {"training": {"activation_checkpointing": "full", "batch_size": B}},
    ],
    ids=["ternary", "float", "relu2-subln", "mhc", "mhc-dynamic", "recomputed"],
)
def test_full_equals_autograd_with_dropped_keys_and_values_detached(
    sections: dict[str, Any], borders: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = model(config(**sections, collider={"mode": "full", "keep": 0.6}))
    plain = Transformer(config(**sections), V).double()
    plain.load_state_dict(made.state_dict())
    of = batch(borders=borders)
    assert_same(filtered(made, of)[0], detached(plain, of, 0.6, monkeypatch), 1e-12)


def test_a_filter_that_leaves_the_backward_pass_whole_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation: with the full backward pass of the filtered loss (mode head) the oracle is not met."""
    made = model(config(collider={"mode": "head", "keep": 0.6}))
    with pytest.raises(AssertionError):
        assert_same(filtered(made, batch())[0], detached(made, batch(), 0.6, monkeypatch), 1e-6)


def test_quantiles_are_of_each_sequence_and_weigh_as_much_as_it_has_targets() -> None:
    importance = torch.arange(11.0).repeat(3, 1) * torch.tensor([[1.0], [10.0], [100.0]])
    targets = torch.zeros(3, 11, dtype=torch.long)
    targets[1, 1:] = -1  # one target, of importance 0
    targets[2] = -1
    assert importance_quantiles(importance, targets).tolist() == pytest.approx([11.0, 55.0, 99.0])


@pytest.mark.parametrize("streams", [1, 2])
def test_dropped_tokens_cost_no_matrix_product(streams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of weight matrices and attention: rows of gradients, and queries whose attention is computed again."""
    made, rows, queries = model(config(collider={"mode": "full", "keep": 0.5}, mhc={"streams": streams})), [], []
    kept, true_attention = made.kept_rows, attention.F.scaled_dot_product_attention
    assert kept is not None
    gather = kept.gather
    kept.gather = lambda tensor: rows.append(len(found := gather(tensor))) or found  # type: ignore[method-assign]

    def counted(query: Tensor, *others: Tensor, **options: Any) -> Tensor:
        queries.append(query.shape[2])
        return true_attention(query, *others, **options)

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", counted)
    filtered(made, batch())
    assert kept.mask is not None
    most = int(kept.mask.sum(dim=1).max())  # of one sequence; the others are filled up to it
    assert rows and set(rows) == {round(0.5 * (B * T - 2)) + 2}  # two have no target, so nothing to drop
    assert most < T and queries == [T] * 3 + [most] * 3  # three layers forward, then backward


@pytest.mark.parametrize("mode", ["head", "full"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["float64", "float32"]
)
def test_keeping_everything_is_the_unfiltered_gradient(mode: str, dtype: torch.dtype, tolerance: float) -> None:
    made = model(config(collider={"mode": mode, "keep": 1.0}), dtype)
    part = micro(batch())
    mine, terms = filtered(made, batch())
    hidden = made(part.tokens, positions=part.positions, documents=part.documents)
    theirs = Goal(made, made.config, batch()).terms(hidden, part)
    assert_same(mine, gradients(made, theirs.loss), tolerance)
    assert terms.parts["collider/kept_fraction"].item() == 1.0


def test_plain_cross_entropy_of_all_tokens_stands_beside_the_filtered_loss() -> None:
    made = model(config(collider={"mode": "full", "keep": 0.4}))
    part = micro(batch())
    hidden = made(part.tokens, positions=part.positions, documents=part.documents)
    plain = Goal(made, made.config, batch()).terms(hidden, part)
    _, terms = filtered(made, batch())
    torch.testing.assert_close(terms.sums, plain.sums, rtol=1e-12, atol=0)
    assert terms.parts["loss/kept"] > plain.parts["loss/total"]  # the hardest were kept
    low, middle, high = (float(terms.parts[f"collider/importance_p{q}"]) for q in (10, 50, 90))
    assert low < middle < high


def test_excess_over_a_reference_decides_when_there_is_one() -> None:
    made, of = model(config(collider={"mode": "head", "keep": 0.5})), batch()
    part = micro(of)
    hidden = made(part.tokens, positions=part.positions, documents=part.documents)
    easy = Goal(made, made.config, of, filtering=True, reference=lambda m: 1e6 * (m.positions % 2).double())
    _, left = easy._filtered(hidden, part, kept_counts(of.targets, 0.5))
    kept_even = ((left.targets >= 0) & (part.positions % 2 == 0)).sum() / (left.targets >= 0).sum()
    assert kept_even > 0.85


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("kind", ["independent", "sequential"])
def test_with_further_tokens_the_union_of_kept_positions_goes_backward(
    horizon: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {"mtp": {"horizon": horizon, "kind": kind, "weight": 0.5}}
    full = model(config(**sections, collider={"mode": "full", "keep": 0.5}))
    head = Transformer(config(**sections, collider={"mode": "head", "keep": 0.5}), V).double()
    head.load_state_dict(full.state_dict())
    mine, _ = filtered(full, batch())
    union = full.kept_rows
    assert union is not None and union.mask is not None
    mask = union.mask[:, None, :, None]
    true_attention = attention.F.scaled_dot_product_attention

    def cut(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        key, value = torch.where(mask, key, key.detach()), torch.where(mask, value, value.detach())
        return true_attention(query, key, value, **options)

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", cut)
    theirs, _ = filtered(head, batch())
    assert_same(mine, theirs, 1e-12)


@pytest.mark.parametrize("keep", [0.1, 0.35, 0.6, 0.999])
def test_the_kept_share_is_exact_to_one_token_and_takes_the_most_important(keep: float) -> None:
    of = batch()
    counts = kept_counts(of.targets, keep)
    assert counts.sum() == round(keep * int((of.targets >= 0).sum()))
    importance = torch.rand(B, T, generator=torch.Generator().manual_seed(2))
    targets = torch.from_numpy(of.targets)
    kept = choose(importance, targets, torch.from_numpy(counts))
    assert kept.sum(1).tolist() == counts.tolist()
    for row in range(B):
        dropped = importance[row][~kept[row] & (targets[row] >= 0)]
        assert not kept[row].any() or not len(dropped) or importance[row][kept[row]].min() >= dropped.max()
    assert not kept[targets < 0].any()


def test_the_union_reaches_back_from_each_kept_token() -> None:
    kept = torch.tensor([[False, False, True, False, False, True]])
    assert union_with_further(kept, 2).tolist() == [[True, True, True, True, True, True]]
    assert union_with_further(kept, 0).tolist() == kept.tolist()


def test_accumulation_and_processes_keep_the_same_tokens() -> None:
    made, of = model(config(collider={"mode": "full", "keep": 0.5})), batch(borders=False)
    whole, _ = filtered(made, of)
    total: dict[str, Tensor] = {}
    for rank in range(2):
        for part in micro_batches(of, rank=rank, world=2, accumulation=2, device=torch.device("cpu")):
            goal = Goal(made, made.config, of, filtering=True)
            terms = goal.terms(made(part.tokens, positions=part.positions, documents=part.documents), part)
            for name, value in gradients(made, terms.loss).items():
                total[name] = total.get(name, 0) + value
    assert_same(total, whole, 1e-12)
