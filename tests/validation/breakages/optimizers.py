"""How optimizers, schedules and switches break."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tests.validation.breakages.breakage import Patch, caught_by


@caught_by("optimizers", "Muon, 24 x 40: weights")
def momentum_without_nesterov(patch: Patch) -> None:
    from nanocore.optim import momentum

    right = momentum.advance
    patch.setattr(momentum, "advance", lambda buffer, gradient, decay, _: right(buffer, gradient, decay, False))


@caught_by("optimizers", "Lion: weights")
def lion_with_the_new_momentum(patch: Patch) -> None:
    from nanocore.optim.lion import Lion

    right = Lion._update

    def wrong(self: Lion, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        right(self, parameter, gradient, {**group, "betas": (group["betas"][1], group["betas"][0])})

    patch.setattr(Lion, "_update", wrong)


@caught_by("optimizers", "embedding, ")
def a_weight_decay_that_never_ends(patch: Patch) -> None:
    from nanocore.optim.optimizers import Optimizers

    right = Optimizers.step
    patch.setattr(Optimizers, "step", lambda self, lr_factor, _: right(self, lr_factor, 1.0))


@caught_by("optimizers", "norm, ")
def norm_gains_that_decay(patch: Patch) -> None:
    from nanocore.optim import optimizers

    right = optimizers.groups
    patch.setattr(
        optimizers,
        "groups",
        lambda *parts: [
            replace(each, weight_decay=0.1 if each.name == "norm" else each.weight_decay) for each in right(*parts)
        ],
    )


@caught_by("int8-state", "int8: step 2: cosine")
def an_8_bit_state_that_is_zeroed(patch: Patch) -> None:
    from nanocore.optim.quantised_state import Codes

    right = Codes.write
    patch.setattr(Codes, "write", lambda self, state, values: right(self, state, torch.zeros_like(values)))


@caught_by("galore", "at full rank off Muon's")
def a_momentum_that_is_not_rotated(patch: Patch) -> None:
    from nanocore.optim import galore

    def wrong(self: Any, gradient: Tensor, state: Any, decay: float, nesterov: bool) -> Tensor:
        counters = state["refresh_counters"]
        if counters[0] == 0:
            self.basis.write(state, galore.leading_basis(gradient, self.shape[0]))
            counters[0] = self.refresh_every
        counters[0] -= 1
        basis, buffer = self.basis.read(state, gradient.dtype), self.buffer.read(state, gradient.dtype)
        return galore.advance(buffer, basis @ gradient, decay, nesterov)

    patch.setattr(galore.SubspaceMomentum, "direction", wrong)


@caught_by("galore", "that of the newest refresh")
def a_subspace_that_is_chosen_once(patch: Patch) -> None:
    from nanocore.optim.galore import SubspaceMomentum

    right = SubspaceMomentum.__init__

    def wrong(self: SubspaceMomentum, *parts: Any) -> None:
        right(self, *parts[:3], 10**6, *parts[4:])

    patch.setattr(SubspaceMomentum, "__init__", wrong)


@caught_by("fire", "error")
def a_polar_factor_that_is_too_long(patch: Patch) -> None:
    from nanocore.optim import fire

    right = fire._polar

    def wrong(*parts: Any) -> Any:
        x, used, error = right(*parts)
        return x * 1.1, used, error

    patch.setattr(fire, "_polar", wrong)


@caught_by("schedule", "step 0")
def a_schedule_off_by_one(patch: Patch) -> None:
    from nanocore.optim import schedule

    right = schedule._at
    patch.setattr(schedule, "_at", lambda each, step, steps: right(each, step + 1, steps))


@caught_by("techniques", "another seed draws the same weights", slow=True)
def weights_that_no_seed_changes(patch: Patch) -> None:
    from nanocore.model.transformer import Transformer

    right = Transformer.initialise
    patch.setattr(Transformer, "initialise", lambda self, _: right(self, 0))


@caught_by("techniques", "multi-token prediction changes no weight", slow=True)
def a_technique_that_does_nothing(patch: Patch) -> None:
    from nanocore.objective.goal import Goal

    patch.setattr(Goal, "_add_further", lambda *_: None)


@caught_by("techniques", "multi-token prediction: steps [1, 2] are not applied")
def a_technique_whose_steps_are_refused(patch: Patch) -> None:
    from nanocore.objective.goal import Goal

    def wrong(_: Goal, terms: Any, *rest: Any) -> None:
        terms.loss = terms.loss * torch.nan

    patch.setattr(Goal, "_add_further", wrong)


@caught_by("techniques", "tensors are not finite")
def a_technique_that_makes_weights_nan(patch: Patch) -> None:
    from nanocore.optim.lion import Lion

    patch.setattr(Lion, "_update", lambda self, parameter, *_: parameter.fill_(torch.nan))


@caught_by("techniques", "recomputation changes", slow=True)
def a_technique_that_changes_bits_when_it_should_not(patch: Patch) -> None:
    from nanocore.model import transformer

    right = transformer.recomputed
    patch.setattr(transformer, "recomputed", lambda *parts: right(*parts) * 1.001)
