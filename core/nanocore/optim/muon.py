"""Muon: momentum, then the nearest (semi-)orthogonal matrix, as the update of a weight matrix.

Sources: Keller Jordan, https://kellerjordan.github.io/posts/muon/ ; shape factors: Moonlight, arXiv 2502.16982;
cautious weight decay: arXiv 2510.12402.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from nanocore.limits import STACK_BYTES
from nanocore.optim.momentum import DirectMomentum, Momentum, wide_shape
from nanocore.optim.orthogonal import Orthogonalisation, orthogonalise
from nanocore.optim.quantised_state import Floats, State


def shape_factor(rows: int, columns: int, scale: str) -> float:
    """Factor on the orthogonal update: "original" keeps its spectral norm, "match_rms_adamw" gives it rms 0.2."""
    if scale == "original":
        return math.sqrt(max(1.0, rows / columns))
    return 0.2 * math.sqrt(max(rows, columns))


def float_momentum(parameter: Tensor, index: int) -> Momentum:
    """Momentum as floats of the parameter's shape."""
    return DirectMomentum(Floats("momentum_buffer", tuple(parameter.shape)), wide_shape(parameter.shape))


class Muon(torch.optim.Optimizer):
    """buf <- m buf + (1 - m) g; u = (1 - m) g + m buf (Nesterov) or buf; W <- W (1 - lr wd) - lr c O(u).

    For matrices only, or stacks of them (n, rows, columns), each of which is updated by itself. Those of one shape, or
    of its transpose, are orthogonalised in one batched call. `cautious` decays a weight only where the update moves it
    towards zero too. `memory` says for each parameter, and its position among all, how its momentum is kept.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        momentum: float = 0.95,
        nesterov: bool = True,
        newton_schulz_steps: int = 5,
        orthogonalisation: Orthogonalisation = "newton-schulz",
        shape_scale: str = "original",
        weight_decay: float = 0.0,
        cautious: bool = False,
        memory: Callable[[Tensor, int], Momentum] = float_momentum,
    ) -> None:
        self._steps, self._shape_scale, self._cautious = newton_schulz_steps, shape_scale, cautious
        self._method: Orthogonalisation = orthogonalisation
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})
        every = [parameter for group in self.param_groups for parameter in group["params"]]
        self._momenta = {parameter: memory(parameter, index) for index, parameter in enumerate(every)}

    def create_state(self, parameter: Tensor) -> State:
        """Give a parameter its state of before the first step (zeros), and return it."""
        self.state[parameter] = self._momenta[parameter].slots(parameter)
        return self.state[parameter]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            for batch in self._batches([p for p in group["params"] if p.grad is not None]):
                self._update(batch, group)

    def _update(self, batch: list[Tensor], group: dict[str, Any]) -> None:
        directions = [self._direction(parameter, group) for parameter in batch]
        updates = self._orthogonalised(torch.cat([matrices.view(-1, *matrices.shape[-2:]) for matrices in directions]))
        each = len(updates) // len(batch)
        for parameter, direction, update in zip(batch, directions, updates.split(each), strict=True):
            update = self._momenta[parameter].lift(update.view(direction.shape), self.state[parameter])
            self._apply(parameter, update if parameter.shape[-2] <= parameter.shape[-1] else update.mT, group)

    def _orthogonalised(self, stacked: Tensor) -> Tensor:
        """(matrices, shorter, longer), in as many calls as its size asks for."""
        # bfloat16 halves the time where the hardware multiplies it fast; the iteration tolerates its rounding.
        work = stacked.bfloat16() if stacked.is_cuda else stacked
        size = _batch_size(stacked, stacked.shape[-2:])
        if len(work) <= size:
            return orthogonalise(work, self._steps, self._method)
        return torch.cat([orthogonalise(part, self._steps, self._method) for part in work.split(size)])

    def _direction(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter] or self.create_state(parameter)
        assert parameter.grad is not None
        return self._momenta[parameter].direction(parameter.grad, state, group["momentum"], group["nesterov"])

    def _apply(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
        update = update.to(parameter.dtype)
        rate, decay = group["lr"], group["lr"] * group["weight_decay"]
        if self._cautious:
            parameter.addcmul_(parameter, (update * parameter >= 0.0).to(parameter.dtype), value=-decay)
        else:
            parameter.mul_(1.0 - decay)
        rows, columns = parameter.shape[-2:]
        parameter.add_(update, alpha=-rate * shape_factor(rows, columns, self._shape_scale))

    def _batches(self, parameters: list[Tensor]) -> Iterator[list[Tensor]]:
        """Parameters whose directions can be stacked: as many matrices each of one shape, STACK_BYTES together."""
        alike: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            alike[(parameter.shape[:-2].numel(), *self._momenta[parameter].shape)].append(parameter)
        for (matrices, *shape), same in alike.items():
            size = max(1, _batch_size(same[0], shape) // matrices)
            for start in range(0, len(same), size):
                yield same[start : start + size]


def _batch_size(like: Tensor, shape: Iterable[int]) -> int:
    """Matrices of a shape that are orthogonalised in one call."""
    return max(1, STACK_BYTES[like.device.type] // (math.prod(shape) * like.element_size()))
