"""Multi-token prediction: each head is plain cross-entropy on targets moved by its distance, and costs what it says."""

from __future__ import annotations

import math
from typing import Any
from weakref import WeakSet

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Goal
from nanocore.objective.micro_batch import MicroBatch
from nanocore.objective.multi_token import further_counts, further_loss, further_targets, weight_at
from tests.unit.test_objective_token_filter import B, T, V, assert_same, batch, config, gradients, micro, model

KINDS = pytest.mark.parametrize("kind", ["independent", "sequential"])


def run(made: Transformer, **options: Any) -> tuple[dict[str, Tensor], Any]:
    of = batch()
    part = micro(of)
    hidden = made(part.tokens, positions=part.positions, documents=part.documents)
    terms = Goal(made, made.config, of, **options).terms(hidden, part)
    return gradients(made, terms.loss), terms


def by_hand(made: Transformer, weight: float) -> tuple[dict[str, Tensor], Tensor]:
    """Summed loss of everything at once, with targets found token by token."""
    part, heads = micro(batch()), made.prediction_heads
    assert heads is not None
    documents = part.documents if part.documents is not None else torch.zeros_like(part.tokens)
    hidden = made(part.tokens, positions=part.positions, documents=part.documents)
    count = (part.targets >= 0).sum()
    loss = F.cross_entropy(made.logits(hidden).flatten(0, 1), part.targets.flatten(), ignore_index=-1, reduction="sum")
    states = states_by_hand(made, hidden, part)
    further = []
    for ahead in range(1, len(heads.heads) + 1):
        targets = torch.full_like(part.targets, -1)
        for row in range(B):
            for t in range(T - ahead):
                if documents[row, t + ahead] == documents[row, t]:
                    targets[row, t] = part.targets[row, t + ahead]
        state = states[ahead - 1]
        further.append(F.cross_entropy(made.logits(state).flatten(0, 1), targets.flatten(), ignore_index=-1))
    mean = torch.stack(further).mean()
    return gradients(made, loss / count + weight * mean), mean.detach()


def states_by_hand(made: Transformer, hidden: Tensor, part: MicroBatch) -> list[Tensor]:
    """h_k of every head as the two papers write it; beyond the row's end, where nothing is predicted, token 0 stands."""
    heads, states = made.prediction_heads, []
    assert heads is not None
    context = made.context(part.tokens, part.positions, part.documents)
    for ahead, head in enumerate(heads.heads, start=1):
        if not heads.sequential:
            states.append(normed(hidden + head.linear(hidden), head.norm))
            continue
        embedded = made.embedding(F.pad(part.tokens[:, ahead:], (0, ahead)))
        merged = head.merge(torch.cat((normed(hidden, head.hidden_norm), normed(embedded, head.token_norm)), dim=-1))
        hidden = normed(head.block(merged.unsqueeze(-2), context).squeeze(-2), head.norm)
        states.append(hidden)
    return states


def normed(x: Tensor, norm: Any) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], norm.weight, norm.eps)


def with_gains(made: Transformer) -> Transformer:
    """Every norm of the heads gets gains of its own: at 1, as they begin, one norm too many changes nothing."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.startswith("prediction_heads.") and "norm" in name:
                parameter.add_(torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype))
    return made


@KINDS
@pytest.mark.parametrize(("horizon", "tied"), [(1, True), (3, False), (8, True)])
def test_heads_equal_cross_entropy_on_moved_targets(kind: str, horizon: int, tied: bool) -> None:
    sections = {"mtp": {"horizon": horizon, "kind": kind, "weight": 0.4}, "model": {"tie_embeddings": tied}}
    made = with_gains(model(config(**sections, mhc={"streams": 2})))
    mine, terms = run(made)
    theirs, mean = by_hand(made, 0.4)
    torch.testing.assert_close(terms.parts["loss/mtp"], mean, rtol=1e-12, atol=0)
    assert_same(mine, theirs, 1e-12)


@KINDS
def test_weight_zero_is_the_baseline_to_the_bit(kind: str) -> None:
    with_heads = model(config(mtp={"horizon": 2, "kind": kind, "weight": 0.0}), torch.float32)
    plain = Transformer(config(), V)
    plain.load_state_dict(with_heads.state_dict(), strict=False)
    mine, terms = run(with_heads)
    theirs, expected = run(plain)
    assert torch.equal(terms.loss, expected.loss) and mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], value) for name, value in theirs.items())


def test_with_token_filtering_the_heads_loss_is_still_a_mean() -> None:
    """Nearly ln V for a model that has learnt nothing, however few tokens are kept."""
    made = model(config(mtp={"horizon": 2}, collider={"mode": "head", "keep": 0.5}))
    _, terms = run(made, filtering=True)
    assert float(terms.parts["loss/mtp"]) == pytest.approx(math.log(V), rel=0.2)


@KINDS
def test_heads_move_the_trunk_when_they_have_weight(kind: str) -> None:
    made = model(config(mtp={"horizon": 2, "kind": kind, "weight": 0.3}))
    with_heads, terms = run(made)
    without, _ = run(made, progress=1.0)  # final_weight is 0
    assert not torch.allclose(with_heads["blocks.0.attention.query.weight"], without["blocks.0.attention.query.weight"])
    assert terms.parts["loss/total"] > terms.sums[0] / (B * T)
    assert {name for name in with_heads if name.startswith("prediction_heads.")} == {
        name for name, _ in made.named_parameters() if name.startswith("prediction_heads.")
    }


def test_the_weight_moves_in_a_straight_line() -> None:
    assert [weight_at(0.3, 0.1, share) for share in (0.0, 0.5, 1.0, 2.0)] == pytest.approx([0.3, 0.2, 0.1, 0.1])


def test_targets_end_at_borders_and_keep_missing_ones_missing() -> None:
    targets = torch.tensor([[1, 2, -1, 4, 5, 6]])
    documents = torch.tensor([[0, 0, 0, 1, 1, 1]])
    assert further_targets(targets, documents, 1).tolist() == [[2, -1, -1, 5, 6, -1]]
    assert further_targets(targets, None, 2).tolist() == [[-1, 4, 5, 6, -1, -1]]


@KINDS
def test_what_waits_for_backward_does_not_grow_with_the_horizon(kind: str) -> None:
    """Bytes reachable from the loss, parameters apart, are the same for 1 and 8 heads."""

    def kept(horizon: int) -> int:
        made = model(config(mtp={"horizon": horizon, "kind": kind}))
        part, own = micro(batch()), {p.data_ptr() for p in made.parameters()}
        hidden = made(part.tokens, positions=part.positions, documents=part.documents).detach().requires_grad_()
        terms = Goal(made, made.config, batch()).terms(hidden, part)
        heads = terms.loss.grad_fn.next_functions[1][0].next_functions[0][0]  # loss + weight * heads
        sizes = [each for each in heads.saved_tensors if each is not None and each.data_ptr() not in own]
        return sum(each.numel() for each in sizes if each.shape[0] == B)

    assert kept(8) == kept(1) == B * T * 16


class Saved:
    """A tensor in autograd's graph; it lives as long as the graph holds it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@KINDS
def test_one_gradient_of_the_unembedding_waits_at_a_time(kind: str) -> None:
    """However many heads: sequential modules keep their inner states together, never D tensors as large as (V, C)."""
    made, of = model(config(mtp={"horizon": 5, "kind": kind}, model={"tie_embeddings": False})), batch()
    part, alive, most = micro(of), WeakSet[Saved](), []
    own = {parameter.data_ptr() for parameter in made.parameters()}

    def note(tensor: Tensor) -> Saved:
        alive.add(entry := Saved(tensor))
        most.append(sum(e.tensor.shape == (V, 16) and e.tensor.data_ptr() not in own for e in alive))
        return entry

    hidden = made(part.tokens, positions=part.positions, documents=part.documents)
    targets = [further_targets(part.targets, part.documents, ahead) for ahead in range(1, 6)]
    with torch.autograd.graph.saved_tensors_hooks(note, lambda entry: entry.tensor):
        loss = further_loss(made, hidden, part, targets, further_counts(of, 5))
    assert loss.requires_grad
    assert max(most) == (1 if kind == "independent" else 2)  # sequential modules: that of the embedding waits too


@pytest.mark.parametrize(("mode", "times"), [("none", 1), ("selective", 1), ("full", 2)])
def test_full_checkpointing_computes_the_blocks_of_modules_twice_and_changes_no_bit(mode: str, times: int) -> None:
    sections = {"mtp": {"horizon": 3, "kind": "sequential"}, "mhc": {"streams": 2}}
    plain = model(config(**sections), torch.float32)
    made = Transformer(config(**sections, training={"activation_checkpointing": mode, "batch_size": B}), V)
    made.load_state_dict(plain.state_dict())
    heads, calls = made.prediction_heads, []
    assert heads is not None
    for index, head in enumerate(heads.heads):
        head.block.register_forward_pre_hook(lambda *_, index=index: calls.append(index))
    mine, theirs = run(made)[0], run(plain)[0]
    assert sorted(calls) == sorted([0, 1, 2] * times)
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.slow
@KINDS
def test_a_text_with_a_period_becomes_predictable_for_every_head(kind: str) -> None:
    made = model(
        config(mtp={"horizon": 2, "kind": kind, "final_weight": 0.3}, model={"linear": "float"}), torch.float32
    )
    made.initialise(3)
    of = batch(borders=False)
    of.tokens[:] = torch.arange(T).remainder(5).numpy()
    of.targets[:] = torch.arange(1, T + 1).remainder(5).numpy()
    part = micro(of)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        terms = Goal(made, made.config, of).terms(made(part.tokens, positions=part.positions), part)
        terms.loss.backward()
        optimizer.step()
    assert terms.parts["loss/mtp"] < 0.1
