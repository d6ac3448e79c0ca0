"""FP4 study mode: which operands of a matrix's three matmuls are quantised, and with which random numbers.

The recipe of NVFP4 pretraining (arXiv 2509.25149): nearest rounding for weights and inputs, stochastic rounding for
gradients, a random Hadamard transform of both weight-gradient operands along the tokens, which cancels in their
product: (H dY)^T (H X) = dY^T X. Blocks run along the dimension that is summed over. It is an emulation: operands are
rounded, the matmuls stay float32.

Random numbers are a function of (training.seed, step, rank, matrix, how often it was used in this step): nothing has
to be saved for a resume, and no other random numbers move. `begin_step` sets step and rank.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nanocore.config.schema import Config
from nanocore.config.techniques import Fp4
from nanocore.model.fp4 import Format, fake_quantise, hadamard, rotate_rows

ROTATED_TOKENS = 16


class Fp4Study:
    """What happens to the operands of one matrix (or of one stack of experts)."""

    def __init__(self, settings: Fp4, format: Format, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self.format: Format = format
        self.begin(0, 0, 0)

    def begin(self, step: int, rank: int, matrix: int) -> None:
        """From here on, draw the random numbers of this place."""
        self._place, self._uses = (self.seed, step, rank, matrix), 0

    def forward_operands(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """X (N, in) and W (out, in) of Y = X W^T."""
        if not self.settings.forward:
            return x, weight
        return self._nearest(x), self._weight(weight)

    def gradient(self, rows: Tensor) -> Tensor:
        """dY (N, out) of dX = dY W."""
        if not self.settings.input_gradient:
            return rows
        return self._round_gradient(rows, self._generator(rows.device)).to(_wide(rows))

    def backward_weight(self, weight: Tensor) -> Tensor:
        """W (out, in) of dX = dY W, which sums over its rows."""
        if not self.settings.input_gradient:
            return weight
        return self._weight(weight) if self.format == "nvfp4" else self._nearest(weight.mT).mT

    def weight_gradient_operands(self, rows: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """dY (N, out) and X (N, in) of dW = dY^T X; N may come back padded."""
        if not self.settings.weight_gradient:
            return rows, x
        generator, dtypes = self._generator(rows.device), (_wide(rows), _wide(x))
        if self.settings.hadamard:
            rotation = random_rotation(generator)
            rows, x = rotate_rows(rows, rotation), rotate_rows(x, rotation)
        rows = self._round_gradient(rows.mT, generator).mT
        return rows.to(dtypes[0]), self._nearest(x.mT).mT.to(dtypes[1])

    def _weight(self, weight: Tensor) -> Tensor:
        """W (out, in): nvfp4 has square blocks, so forward and backward multiply with the same numbers."""
        return fake_quantise(weight, self.format, square=self.format == "nvfp4").to(_wide(weight))

    def _nearest(self, x: Tensor) -> Tensor:
        return fake_quantise(x, self.format).to(_wide(x))

    def _round_gradient(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        noise = None
        if self.settings.stochastic_rounding:
            noise = torch.rand(rows.shape, generator=generator, device=rows.device, dtype=torch.float32)
        return fake_quantise(rows, self.format, noise=noise)

    def _generator(self, device: torch.device) -> torch.Generator:
        key = "/".join(map(str, (*self._place, self._uses)))
        self._uses += 1
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)


def make_study(config: Config) -> Fp4Study | None:
    """The study that `config.fp4` asks for; None where it is off."""
    settings = config.fp4
    return None if settings.format == "off" else Fp4Study(settings, settings.format, config.training.seed)


def begin_step(model: nn.Module, step: int, rank: int = 0) -> None:
    """Give every study in the model the random numbers of this step on this process."""
    owned = [getattr(module, "fp4", None) for module in model.modules()]
    for index, study in enumerate(study for study in owned if isinstance(study, Fp4Study)):
        study.begin(step, rank, index)


def random_rotation(generator: torch.Generator) -> Tensor:
    """A Hadamard matrix (16, 16) after random signs, which make it another one for each use."""
    device = generator.device
    signs = torch.randint(0, 2, (ROTATED_TOKENS,), generator=generator, device=device) * 2 - 1
    return hadamard(ROTATED_TOKENS, device) * signs


def fp4_linear(x: Tensor, weight: Tensor, study: Fp4Study) -> Tensor:
    """x (..., in) times a float weight (out, in) transposed, under the study."""
    return _Fp4Product.apply(x, weight, study)


class _Fp4Product(torch.autograd.Function):
    """The float twin's product, with operands as the study has them; keeps the unquantised ones."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, study: Fp4Study) -> Tensor:
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        rows = x.flatten(0, -2).to(dtype)
        ctx.save_for_backward(rows, weight)
        ctx.study, ctx.input_shape, ctx.input_dtype = study, x.shape, x.dtype
        with torch.autocast(device, enabled=False):
            left, right = study.forward_operands(rows, weight.to(dtype))
            return F.linear(left, right).to(dtype).unflatten(0, x.shape[:-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        study: Fp4Study = ctx.study
        rows = d_output.flatten(0, -2)  # (N, out)
        d_x: Tensor | None = None
        d_weight: Tensor | None = None
        if ctx.needs_input_grad[0]:
            d_x = study.gradient(rows) @ study.backward_weight(weight.to(rows.dtype))
            d_x = d_x.view(ctx.input_shape).to(ctx.input_dtype)
        if ctx.needs_input_grad[1]:
            left, right = study.weight_gradient_operands(rows, x)
            d_weight = (left.mT @ right).to(weight.dtype)
        return d_x, d_weight, None


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
