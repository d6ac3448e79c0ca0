"""Every form of momentum through the configuration: chosen, counted, saved, reset, and able to learn."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from nanocore.errors import CheckpointError
from nanocore.model.roles import Role
from nanocore.optim.optimizers import Optimizers
from tests.quick import quick
from tests.tiny import tiny_config

GALORE = ("galore.rank_fraction=0.25", "galore.refresh_every=3")
EIGHT_BIT = ("optimizer.state=int8", "optimizer.state_block=64")
DYNAMIC = ("optimizer.state=int8-dynamic", "optimizer.state_block=64")
STOCHASTIC = ("optimizer.stochastic_rounding=true",)
ADAPTIVE = ("galore.adaptive=true",)
FORMS = {
    "float32": (),
    "polar express, cautious": (
        "optimizer.orthogonalisation=polar-express",
        "optimizer.cautious_weight_decay=true",
    ),
    "int8": EIGHT_BIT,
    "int8 stochastic": EIGHT_BIT + STOCHASTIC,
    "dynamic": DYNAMIC,
    "dynamic stochastic": DYNAMIC + STOCHASTIC,
    "galore": GALORE,
    "galore adaptive": GALORE + ADAPTIVE,
    "galore int8 projector": (*GALORE, "galore.projector=int8"),
    "galore int4 projector, adaptive": (*GALORE, *ADAPTIVE, "galore.projector=int4"),
    "galore int8": GALORE + EIGHT_BIT,
    "everything": (*GALORE, *ADAPTIVE, *DYNAMIC, *STOCHASTIC, "galore.projector=int4"),
}


SLOTS = [
    "momentum_codes", "momentum_scales", "momentum_writes", "projector_codes", "projector_scales", "refresh_counters",
    "refresh_cosines",
]  # fmt: skip


class Matrices(nn.Module):
    """Matrices wide, tall and square, a stack of experts, and one parameter that Muon does not train."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        super().__init__()
        torch.manual_seed(5)
        shapes = shapes or ((32, 48), (48, 32), (32, 32), (2, 16, 24))
        self.matrices = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)
        self.norm = nn.Parameter(torch.ones(8))

    def roles(self) -> Mapping[str, Role]:
        return {name: "norm" if name == "norm" else "matrix" for name, _ in self.named_parameters()}

    def give_gradients(self, seed: int) -> None:
        torch.manual_seed(seed)
        for parameter in self.parameters():
            parameter.grad = torch.randn_like(parameter)


def build(
    *sets: str, shapes: tuple[tuple[int, ...], ...] = (), device: str | None = None
) -> tuple[Matrices, Optimizers]:
    model = Matrices(*shapes).to(device)
    return model, Optimizers(model, tiny_config("optimizer.matrix_weight_decay=0.1", *sets))


def run(model: Matrices, optimizers: Optimizers, seeds: range) -> None:
    for seed in seeds:
        model.give_gradients(seed)
        optimizers.step(1.0, 1.0)


def copy(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("form", quick(FORMS, "float32", "int8", "galore int8 projector", "everything"))
def test_a_restored_optimizer_continues_bit_for_bit_between_two_refreshes(form: str, device: str) -> None:
    model, optimizers = build(*FORMS[form], device=device)
    run(model, optimizers, range(5))
    saved, weights = load(save(optimizers.state_tensors())), copy(model.state_dict())
    again, restored = build(*FORMS[form], device=device)
    run(again, restored, range(90, 92))  # whatever it did before is gone after loading
    again.load_state_dict(weights)
    restored.load_state_tensors(saved)
    run(model, optimizers, range(5, 10))
    run(again, restored, range(5, 10))
    assert equal(model.state_dict(), again.state_dict()) and not equal(model.state_dict(), weights)
    assert equal(optimizers.state_tensors(), restored.state_tensors())


@pytest.mark.parametrize("slot", quick(SLOTS, "momentum_codes", "projector_codes", "refresh_counters"))
def test_no_slot_is_idle(slot: str) -> None:
    """A step reads every slot: with another value in one of them, it ends elsewhere."""
    ends = []
    for changed in (False, True):
        model, optimizers = build(*FORMS["everything"], "galore.refresh_every=1")
        for _ in range(5):  # the same gradient each time: at the sixth refresh the interval may double
            run(model, optimizers, range(1))
        for name, tensor in optimizers.state_tensors().items():
            if changed and name == f"matrices.0.{slot}":
                tensor.zero_()
        run(model, optimizers, range(1))
        run(model, optimizers, range(7, 8))
        ends.append({**copy(model.state_dict()), **copy(optimizers.state_tensors())})
    assert not torch.equal(ends[0]["matrices.0"], ends[1]["matrices.0"])


CHANGES = [
    ((), "optimizer.orthogonalisation=polar-express"),
    ((), "optimizer.cautious_weight_decay=true"),
    ((), "optimizer.state=int8"),
    ((), "galore.rank_fraction=0.25"),
    (EIGHT_BIT, "optimizer.state=int8-dynamic"),
    (EIGHT_BIT, "optimizer.state_block=128"),
    (EIGHT_BIT, "optimizer.stochastic_rounding=true"),
    (EIGHT_BIT + STOCHASTIC, "training.seed=1"),
    (GALORE, "galore.rank_fraction=0.3"),
    (GALORE, "galore.refresh_every=2"),
    (GALORE, "galore.projector=int8"),
    (GALORE, "galore.projector=int4"),
    ((*GALORE, "galore.refresh_every=1"), "galore.adaptive=true"),
]


@pytest.mark.parametrize(("base", "key"), CHANGES, ids=[key for _, key in CHANGES])
def test_every_key_changes_what_is_learned(base: tuple[str, ...], key: str) -> None:
    ends = []
    for sets in (base, (*base, key)):
        model, optimizers = build(*sets)
        for seed in (0, 0, 0, 0, 0, 0, 1, 2, 3):
            run(model, optimizers, range(seed, seed + 1))
        ends.append(model.matrices[0].detach())
    assert (ends[0] - ends[1]).abs().max() > 1e-6


def test_state_of_another_form_is_refused() -> None:
    _, plain = build()
    _, quantised = build(*EIGHT_BIT)
    _, larger = build(*GALORE)
    _, smaller = build(*GALORE, "galore.rank_fraction=0.125")
    for one, other in ((plain, quantised), (larger, smaller), (plain, larger)):
        with pytest.raises(CheckpointError, match="optimizer state"):
            one.load_state_tensors(other.state_tensors())


@pytest.mark.parametrize("form", FORMS)
def test_state_after_a_reset_is_as_before_the_first_step(form: str) -> None:
    model, optimizers = build(*FORMS[form])
    fresh_model, fresh = build(*FORMS[form])
    run(model, optimizers, range(4))
    kept = copy(optimizers.state_tensors())
    optimizers.reset_state(["matrices.0", "matrices.3", "norm"])
    for name, tensor in optimizers.state_tensors().items():
        was_reset = name.startswith(("matrices.0", "matrices.3", "norm"))
        assert torch.equal(tensor, fresh.state_tensors()[name] if was_reset else kept[name])
    model.load_state_dict(fresh_model.state_dict())
    run(model, optimizers, range(4, 8))
    run(fresh_model, fresh, range(4, 8))
    assert torch.equal(model.matrices[0], fresh_model.matrices[0]) and torch.equal(model.norm, fresh_model.norm)


@pytest.mark.parametrize("form", FORMS)
def test_bytes_are_those_of_live_tensors_from_the_start(form: str) -> None:
    model, optimizers = build(*FORMS[form])
    before = optimizers.live_bytes()
    assert before == sum(t.numel() * t.element_size() for t in optimizers.state_tensors().values())
    assert sum(optimizers.state_bytes().values()) == before
    run(model, optimizers, range(4))
    assert optimizers.live_bytes() == before
    live = {t.data_ptr() for o in optimizers._optimizers for s in o.state.values() for t in s.values()}
    assert live == {t.data_ptr() for t in optimizers.state_tensors().values()}


BLOCK = ((512, 512), (256, 512), (256, 512), (512, 512), (1536, 512), (1536, 512), (512, 1536))  # GQA, d 512, ff 1536


@pytest.mark.parametrize(
    ("sets", "share"),
    [
        (("optimizer.state=int8",), 0.27),
        (("optimizer.state=int8-dynamic", "optimizer.stochastic_rounding=true"), 0.27),
        (("galore.rank_fraction=0.25", "galore.adaptive=true"), 0.45),
        (("galore.rank_fraction=0.25", "galore.projector=int4", "optimizer.state=int8"), 0.12),
    ],
)
def test_the_state_of_a_block_is_so_much_smaller_than_muons(sets: tuple[str, ...], share: float) -> None:
    with torch.device("meta"):
        _, plain = build(shapes=BLOCK)
        _, optimizers = build(*sets, shapes=BLOCK)
    assert plain.state_bytes()["momentum"] == 4 * sum(a * b for a, b in BLOCK)
    norm = plain.live_bytes() - plain.state_bytes()["momentum"]
    assert optimizers.live_bytes() - norm <= share * plain.state_bytes()["momentum"]


def test_a_matrix_whose_state_would_grow_stays_with_muon() -> None:
    shapes = ((32, 32), (32, 256))
    _, optimizers = build("galore.rank_fraction=0.75", shapes=shapes)
    slots = {name.partition(".")[2] for name in optimizers.state_tensors() if name.startswith("matrices")}
    assert slots == {"0.momentum_buffer", "1.projector", "1.momentum_buffer", "1.refresh_counters"}
    _, quantised = build("galore.rank_fraction=0.75", *EIGHT_BIT, shapes=shapes)  # a float projector is then too much
    assert not any("projector" in name for name in quantised.state_tensors() if name.startswith("matrices.0"))
    _, full = build("galore.rank_fraction=1.0", "galore.projector=int4", shapes=shapes)
    assert not any("projector" in name for name in full.state_tensors())


def test_matrices_round_independently_of_one_another() -> None:
    model, optimizers = build(*EIGHT_BIT, *STOCHASTIC, shapes=((32, 48), (32, 48)))
    model.give_gradients(0)
    model.matrices[1].grad = model.matrices[0].grad
    optimizers.step(1.0, 1.0)
    one, other = (optimizers.state_tensors()[f"matrices.{i}.momentum_codes"] for i in range(2))
    assert (one != other).sum() > 0 and (one.int() - other.int()).abs().max() == 1


def test_experts_are_never_projected() -> None:
    _, optimizers = build(*GALORE)
    assert {n for n in optimizers.state_tensors() if n.startswith("matrices.3")} == {"matrices.3.momentum_buffer"}
    assert "matrices.0.projector" in optimizers.state_tensors()


@pytest.mark.parametrize("form", quick(FORMS, "float32", "int8", "galore", "everything"))
def test_every_form_fits_a_linear_map(form: str) -> None:
    model, optimizers = build(*FORMS[form], "optimizer.matrix_lr=1.0", shapes=((32, 48),))
    torch.manual_seed(0)
    inputs, target = torch.randn(128, 48), torch.randn(32, 48)
    losses: list[float] = []
    for step in range(60):
        optimizers.zero_grad()
        loss = (inputs @ (model.matrices[0] - target).mT).square().mean()
        loss.backward()
        losses.append(loss.item())
        optimizers.step(1.0 - step / 60, 0.0)
    assert losses[-1] < 0.2 * losses[0]
