"""All optimizers of a model behind one face: step, clip, exact state, true memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.errors import CheckpointError
from nanocore.model.roles import Role
from nanocore.optim.groups import Group, OptimizerName, groups
from nanocore.optim.lion import Lion
from nanocore.optim.memory import bytes_by_kind, momentum_of, total_bytes
from nanocore.optim.muon import Muon

FRESH = "keep the optimizer's keys, or fork with --fresh-optimizer"


class Trainable(Protocol):
    """What is needed of a model: named parameters and the role of each."""

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]: ...

    def roles(self) -> Mapping[str, Role]: ...


class Optimizers:
    """One torch optimizer for each method in use. `groups` is the visible table of who trains with what."""

    def __init__(self, model: Trainable, config: Config) -> None:
        self._parameters = dict(model.named_parameters())
        values = {name: parameter.numel() for name, parameter in self._parameters.items()}
        roles = model.roles()
        if set(roles) != set(values):
            raise ValueError(f"parameters without a role, or roles without a parameter: {set(roles) ^ set(values)}")
        self.groups = groups(config, roles, values)
        self._optimizers = [_build(method, self._tables(method), config) for method in _methods(self.groups)]
        self._slots = self._create_state()
        self._state = {f"{name}.{slot}": t for name, slots in self._slots.items() for slot, t in slots.items()}

    def _tables(self, method: OptimizerName) -> list[dict[str, Any]]:
        """Torch's parameter groups of one method; `peak` keeps what the factors of `step` multiply."""
        return [
            {"params": [self._parameters[name] for name in group.parameters], "lr": group.lr, "peak": group}
            for group in self.groups
            if group.optimizer == method
        ]

    def _create_state(self) -> dict[str, dict[str, Tensor]]:
        """All state from the start, so that its size is known before the first step and loading can be strict."""
        owners = {p: o for o in self._optimizers for table in o.param_groups for p in table["params"]}
        named = {}
        for group in self.groups:
            for name in group.parameters:
                parameter = self._parameters[name]
                named[name] = _create(owners[parameter], parameter)
        return named

    def step(self, lr_factor: float, weight_decay_factor: float) -> None:
        """Update all parameters, at these shares of each group's peak learning rate and weight decay."""
        for optimizer in self._optimizers:
            for table in optimizer.param_groups:
                table["lr"] = table["peak"].lr * lr_factor
                table["weight_decay"] = table["peak"].weight_decay * weight_decay_factor
            optimizer.step()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in self._parameters.values():
            parameter.grad = None

    def clip(self, max_norm: float) -> Tensor:
        """Scale all gradients so that their global norm is at most `max_norm` (0: only measure); the norm before.

        The norm, a scalar tensor, may be infinite or NaN: then the gradients are unusable and the caller decides.
        """
        gradients = [p.grad for p in self._parameters.values() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if max_norm > 0.0:
            torch.nn.utils.clip_grads_with_norm_(self._parameters.values(), max_norm, norm)
        return norm

    def state_tensors(self) -> dict[str, Tensor]:
        """Live state as `<parameter>.<slot>`, step counters included; with the parameters, all that `step` reads."""
        return dict(self._state)

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state_tensors` was taken. CheckpointError, before any change, if it does not fit."""
        if wrong := sorted(set(tensors) ^ set(self._state)):
            raise CheckpointError(
                f"optimizer state does not fit this model: {wrong[0]} (and {len(wrong) - 1} more)", fix=FRESH
            )
        for name, live in self._state.items():
            if tensors[name].shape != live.shape or tensors[name].dtype != live.dtype:
                raise CheckpointError(
                    f"optimizer state {name} has another shape or dtype than this model needs", fix=FRESH
                )
        for name, live in self._state.items():
            live.copy_(tensors[name])

    def live_bytes(self) -> int:
        """Bytes of optimizer state really allocated."""
        return total_bytes(self._state.values())

    def state_bytes(self) -> dict[str, int]:
        """`live_bytes` by what they hold: momentum, projector, scales, counters, exp_avg, exp_avg_sq."""
        return bytes_by_kind(self._slots.values())

    def reset_state(self, names: Iterable[str]) -> None:
        """Make the state of these parameters what it was before the first step: zeros in every slot."""
        for name in names:
            for tensor in self._slots[name].values():
                tensor.zero_()


def _methods(table: list[Group]) -> list[OptimizerName]:
    return list(dict.fromkeys(group.optimizer for group in table))


def _build(method: OptimizerName, tables: list[dict[str, Any]], config: Config) -> torch.optim.Optimizer:
    settings = config.optimizer
    if method == "muon":
        return Muon(
            tables,
            settings.matrix_lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            newton_schulz_steps=settings.newton_schulz_steps,
            orthogonalisation=settings.orthogonalisation,
            shape_scale=settings.shape_scale,
            cautious=settings.cautious_weight_decay,
            memory=partial(momentum_of, config=config),
        )
    betas = (settings.beta1, settings.beta2)
    if method == "lion":
        return Lion(tables, settings.scalar_lr, betas)
    return torch.optim.AdamW(tables, settings.scalar_lr, betas, settings.eps, weight_decay=0.0, fused=True)


def _create(owner: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """Give a parameter its zero state, under the names its optimizer uses."""
    if isinstance(owner, Muon):
        return owner.create_state(parameter)
    slots = {"exp_avg": torch.zeros_like(parameter, requires_grad=False)}
    if isinstance(owner, torch.optim.AdamW):
        step = torch.zeros((), dtype=torch.float32, device=parameter.device)
        slots = {"step": step, **slots, "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False)}
    owner.state[parameter] = slots
    return slots
