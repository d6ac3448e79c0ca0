"""BitLinear: a linear map whose weights are ternary and whose inputs are 8-bit codes, trained straight through.

BitNet b1.58 (arXiv 2402.17764). `ternary_products` multiplies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.fp4_study import Fp4Study, make_study
from nanocore.model.kept_rows import KeptRows
from nanocore.model.quantise import TernaryWeight, ternary_weight
from nanocore.model.ternary_products import Operand, multiply
from nanokernels.triton_planes import Planes, pack_planes


class FloatLinear(nn.Linear):
    """nn.Linear without bias that leaves its memory as it is: Transformer.initialise or a checkpoint fills it."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.fp4: Fp4Study | None = None
        self.kept_rows: KeptRows | None = None

    def reset_parameters(self) -> None:
        """Draw nothing: torch's own values would be thrown away, and building on `meta` would import its compiler."""

    def operand(self) -> Operand:
        """The matrix as it multiplies now."""
        return Operand(self.weight, None, self.fp4, self.kept_rows)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) to (..., out), in the dtype of the input, or autocast's where that is on."""
        return project(input, (self,))[0]


class TernaryModule(nn.Module):
    """What `weight` multiplies as in its ternary form: `quantise` says how, `frozen` may hold the result for a while.

    After `settle` there is no latent weight any more: the module is its `codes` and `scale`, and cannot learn.
    """

    weight: Tensor
    codes: Tensor
    scale: Tensor
    settled = False
    _frozen: TernaryWeight | None = None
    _planes: Planes | None = None

    @property
    def ternary_shape(self) -> torch.Size:
        """Shape of the codes, (out, in) or (E, out, in)."""
        return self.codes.shape if self.settled else self.weight.shape

    def ternary(self) -> TernaryWeight:
        """Codes and scales of the weight as it is now, as it was when `frozen` began, or as settled."""
        if self.settled:
            return TernaryWeight(self.codes, self.scale)
        with torch.no_grad():
            return self._frozen or self.quantise()

    def planes(self) -> Planes:
        """The frozen or settled matrix (out, in) as a GPU's kernels read it, packed once."""
        if self._planes is None:
            self._planes = pack_planes(*self.ternary())
        return self._planes

    def settle(self, ternary: TernaryWeight) -> None:
        """Become these codes and scales, as a file holds them: quantising them again would give other scales."""
        rows = self.weight.shape[:-1]  # a weight without columns keeps dtype and number of matrices, and no memory
        self.weight = nn.Parameter(torch.empty((*rows, 0), dtype=self.weight.dtype), requires_grad=False)
        self.register_buffer("codes", ternary.codes)
        self.register_buffer("scale", ternary.scale)
        self.settled = True

    def quantise(self) -> TernaryWeight:
        """Codes and scales of the weight as it is now."""
        raise NotImplementedError


class BitLinear(TernaryModule, FloatLinear):
    """`weight` (out, in) is the latent matrix that the optimizer moves; what multiplies is its ternary form.

    `group_size` input columns of a row share one scale; 0 gives the whole matrix one. There is no bias.
    """

    def __init__(self, in_features: int, out_features: int, group_size: int = 0) -> None:
        super().__init__(in_features, out_features)
        self.group_size = group_size

    def quantise(self) -> TernaryWeight:
        """Codes and scales of the weight as it is now."""
        return ternary_weight(self.weight, self.group_size)

    def operand(self) -> Operand:
        """The matrix as it multiplies now."""
        lasting = self.settled or self._frozen is not None
        return Operand(self.weight, self.ternary(), self.fp4, self.kept_rows, self.planes if lasting else None)


def make_linear(config: Config, in_features: int, out_features: int) -> FloatLinear:
    """A ternary matrix, or its float twin for `model.linear = "float"`: the same parameter, initialised alike."""
    ternary = config.model.linear == "ternary"
    linear = BitLinear(in_features, out_features, config.model.group_size) if ternary else None
    linear = linear or FloatLinear(in_features, out_features)
    linear.fp4 = make_study(config)
    return linear


def project(x: Tensor, linears: Sequence[FloatLinear]) -> tuple[Tensor, ...]:
    """The outputs of several linears of one kind that read the same x: a ternary input is quantised once for all."""
    return multiply(x, [linear.operand() for linear in linears])


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Weights do not change inside this block: each ternary one is quantised once instead of at every call."""
    layers = freeze(model)
    try:
        yield
    finally:
        for layer in layers:
            layer._frozen = layer._planes = None


def freeze(model: nn.Module) -> Sequence[TernaryModule]:
    """Quantise every ternary weight once for all; from now on the model must not learn."""
    layers = [module for module in model.modules() if isinstance(module, TernaryModule)]
    for layer in layers:
        layer._frozen = layer.ternary()
    return layers
