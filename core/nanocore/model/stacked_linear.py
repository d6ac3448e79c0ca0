"""Matrices of one shape in one parameter (E, out, in), such as those of E experts; the optimizer sees E matrices."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.model.bitlinear import TernaryModule
from nanocore.model.fp4_study import Fp4Study, make_study
from nanocore.model.quantise import TernaryWeight, ternary_weight
from nanocore.model.ternary_products import Operand


class StackedLinear(nn.Module):
    """E float matrices. Their memory stays as it is until Transformer.initialise or a checkpoint fills it."""

    def __init__(self, count: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight: Tensor = nn.Parameter(torch.empty(count, out_features, in_features))
        self.fp4: Fp4Study | None = None

    def operands(self) -> list[Operand]:
        """The E matrices as they multiply now; one gradient for the whole stack is put together from theirs."""
        return [Operand(weight, None, self.fp4) for weight in self.weight.unbind()]


class StackedBitLinear(TernaryModule, StackedLinear):
    """E ternary matrices, each with scales of its own, as E BitLinears would have them."""

    def __init__(self, count: int, in_features: int, out_features: int, group_size: int = 0) -> None:
        super().__init__(count, in_features, out_features)
        self.group_size = group_size

    def quantise(self) -> TernaryWeight:
        """Codes (E, out, in); scales (E, 1, 1), or (E, out, groups)."""
        codes, scales = zip(*(ternary_weight(weight, self.group_size) for weight in self.weight), strict=True)
        return TernaryWeight(torch.stack(codes), torch.stack(scales))

    def operands(self) -> list[Operand]:
        """The E matrices as they multiply now; one gradient for the whole stack is put together from theirs."""
        ternary = map(TernaryWeight, *(part.unbind() for part in self.ternary()))
        return [Operand(weight, codes, self.fp4) for weight, codes in zip(self.weight.unbind(), ternary, strict=True)]


def make_stack(config: Config, count: int, in_features: int, out_features: int) -> StackedLinear:
    """Ternary matrices, or their float twins for `model.linear = "float"`."""
    if config.model.linear == "ternary":
        stack = StackedBitLinear(count, in_features, out_features, config.model.group_size)
    else:
        stack = StackedLinear(count, in_features, out_features)
    stack.fp4 = make_study(config)
    return stack
