"""A technique at its neutral setting is the run without it, step for step, through the trainer's own step."""

from __future__ import annotations

import pytest
import torch

from nanocore.model.transformer import Transformer
from tests.techniques import FULL_FILTER, HEAD_FILTER, Trace, train_steps


def losses(trace: Trace) -> list[float]:
    return [result.ce for result in trace.results]


@pytest.fixture(scope="module")
def plain() -> Trace:
    return train_steps(())


@pytest.mark.parametrize(
    "sets",
    [
        ("mtp.horizon=2", "mtp.weight=0", "mtp.final_weight=0"),
        ("mtp.horizon=1", "mtp.kind=sequential", "mtp.weight=0"),
        ("collider.mode=head", "collider.start_step=99"),
        ("collider.mode=full", "collider.start_step=99"),  # attention and products with a backward pass of their own
        ("fp4.format=nvfp4", "fp4.input_gradient=false", "fp4.weight_gradient=false"),
        ("galore.rank_fraction=1.0",),  # its state would be larger: such matrices stay with Muon
        ("training.activation_checkpointing=full",),
        ("training.activation_checkpointing=selective",),
        ("optimizer.cautious_weight_decay=true", "optimizer.matrix_weight_decay=1e-45"),
        ("fire.at_step=99",),
    ],
    ids=lambda sets: sets[0],
)
def test_without_effect_is_equal_to_the_bit(sets: tuple[str, ...], plain: Trace) -> None:
    trace, expected = train_steps(sets), plain.tensors()
    assert losses(trace) == losses(plain)
    found = trace.tensors()
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("mode", [HEAD_FILTER, FULL_FILTER], ids=["head", "full"])
def test_all_tokens_kept_through_the_filter_is_the_plain_step(mode: tuple[str, ...], plain: Trace) -> None:
    trace = train_steps((*mode, "collider.keep=1.0"))
    assert trace.results[0].parts["collider/kept_fraction"] == 1.0
    assert losses(trace) == pytest.approx(losses(plain), rel=1e-5)
    for found, expected in zip(trace.core.parameters(), plain.core.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_one_expert_is_the_dense_feed_forward(plain: Trace) -> None:
    before = {name: tensor.clone() for name, tensor in start().named_parameters()}

    @torch.no_grad()
    def same_weights(core: Transformer) -> None:
        for name, parameter in core.named_parameters():
            if name in before:
                parameter.copy_(before[name].view_as(parameter))

    sets = ("moe.experts=1", "moe.active=1", "moe.balance=none")
    trace = train_steps(sets, prepare=same_weights)
    assert losses(trace) == pytest.approx(losses(plain), rel=1e-4)
    assert all(result.parts["moe/max_violation"] == 0.0 for result in trace.results)


def start() -> Transformer:
    return train_steps((), count=0).core
