"""How objectives break."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.validation.breakages.breakage import Patch, caught_by


@caught_by("objective", "label smoothing")
def smoothing_over_one_word_too_few(patch: Patch) -> None:
    from nanocore.objective.regularisers import Regularisers

    right = Regularisers.d_logits

    def wrong(self: Any, p: Tensor, *rest: Tensor) -> Tensor:
        return right(replace(self, label_smoothing=self.label_smoothing * 0.99), p, *rest)

    patch.setattr(Regularisers, "d_logits", wrong)


@caught_by("gradients", "off the slope")
def a_norm_whose_gradient_lacks_a_part(patch: Patch) -> None:
    from nanocore.model.norm import _RMSNormCPU

    def wrong(ctx: Any, d_y: Tensor) -> Any:
        x, gain, inverse = ctx.saved_tensors
        return d_y * gain * inverse, (d_y * x * inverse).flatten(0, -2).sum(0), None

    patch.setattr(_RMSNormCPU, "backward", staticmethod(wrong))


@caught_by("gradients", "off the slope", slow=True)
def maps_by_token_with_half_their_gradient(patch: Patch) -> None:
    from nanocore.model.hyper_connections import _NormalisedProduct

    right = _NormalisedProduct.backward
    halved = staticmethod(lambda ctx, d_result: tuple(each / 2 for each in right(ctx, d_result)))
    patch.setattr(_NormalisedProduct, "backward", halved)


@caught_by("gradients", "two micro-batches", slow=True)
def a_micro_batch_that_is_lost(patch: Patch) -> None:
    from nanocore.train import step

    right = step.micro_batches
    patch.setattr(step, "micro_batches", lambda *parts, **options: right(*parts, **options)[-1:])


@caught_by("gradients", "clipped to half of their norm", slow=True)
def gradients_that_are_not_clipped(patch: Patch) -> None:
    from nanocore.optim.optimizers import Optimizers

    right = Optimizers.clip
    patch.setattr(Optimizers, "clip", lambda self, _: right(self, 0.0))


@caught_by("gradients", "gradients: 1 tensors are not finite, first ['norm.weight']")
def a_clipped_gradient_that_is_nan(patch: Patch) -> None:
    from nanocore.optim.optimizers import Optimizers

    right = Optimizers.clip

    def wrong(self: Optimizers, max_norm: float) -> Tensor:
        norm, last = right(self, max_norm), self._parameters["norm.weight"].grad
        if max_norm and last is not None:
            last.fill_(torch.nan)
        return norm

    patch.setattr(Optimizers, "clip", wrong)


@caught_by("mtp", "the heads' loss")
def further_tokens_off_by_one(patch: Patch) -> None:
    from nanocore.objective import goal, multi_token

    right = multi_token.further_targets
    for module in (goal, multi_token):
        patch.setattr(module, "further_targets", lambda targets, documents, ahead: right(targets, documents, ahead + 1))


@caught_by("collider", "dropped, one of")
def the_wrong_tokens_kept(patch: Patch) -> None:
    from nanocore.objective import token_filter

    right = token_filter.choose
    patch.setattr(token_filter, "choose", lambda importance, *rest: right(-importance, *rest))


@caught_by("collider", "gradient by")
def keys_of_dropped_tokens_that_learn(patch: Patch) -> None:
    from nanocore.model.kept_rows import _FilteredAttention

    right = _FilteredAttention.backward

    def wrong(ctx: Any, d_output: Tensor) -> Any:
        shown = SimpleNamespace(saved_tensors=ctx.saved_tensors, kept=SimpleNamespace(mask=None, columns=None))
        return right(shown, d_output)

    patch.setattr(_FilteredAttention, "backward", staticmethod(wrong))


@caught_by("collider", "gradients: 1 tensors are not finite, first ['norm.weight']")
def a_gradient_of_kept_tokens_that_is_nan(patch: Patch) -> None:
    from nanocore.objective.goal import Goal

    right = Goal._filtered

    def wrong(self: Goal, *parts: Any) -> Any:
        self.core.norm.weight.register_hook(lambda gradient: gradient * torch.nan)
        return right(self, *parts)

    patch.setattr(Goal, "_filtered", wrong)


@caught_by("loop", "sum of exit probabilities off 1")
def exit_probabilities_that_do_not_add_up(patch: Patch) -> None:
    from nanocore.objective import exits

    def wrong(gates: Tensor) -> Tensor:
        stay = F.logsigmoid(-gates).cumsum(0) - F.logsigmoid(-gates)
        return stay + F.logsigmoid(gates)

    patch.setattr(exits, "exit_log_probabilities", wrong)


@caught_by("experts", "output, error")
def a_token_dropped_by_an_expert(patch: Patch) -> None:
    from nanocore.model.experts import Experts

    right = Experts._transform

    def wrong(self: Experts, rows: Tensor, counts: Any) -> Tensor:
        return right(self, rows, counts).index_fill(0, torch.tensor([len(rows) - 1]), 0.0)

    patch.setattr(Experts, "_transform", wrong)


@caught_by("deltanet", "outputs, error")
def a_memory_lost_between_chunks(patch: Patch) -> None:
    from nanocore.model import delta_rule

    right = delta_rule._scan

    def wrong(*parts: Any) -> Any:
        states, changes, state = right(*parts)
        return torch.zeros_like(states), changes, state

    patch.setattr(delta_rule, "_scan", wrong)


@caught_by("fp4", "nvfp4: relative error")
def a_block_scale_of_half_the_size(patch: Patch) -> None:
    from nanocore.model import fp4

    right = fp4._SCALES["nvfp4"]

    def wrong(*parts: Any) -> Any:
        before, after = right(*parts)
        return fp4.Scales(before * 2, after / 2)

    patch.setitem(fp4._SCALES, "nvfp4", wrong)
