"""Terms that shape the predicted distribution itself: label smoothing, z-loss, entropy bonus.

For a token with log-probabilities l, probabilities p, entropy H and log of the softmax denominator Z, its loss gets
    smoothing   eps (mean(-l) - CE)      (Szegedy et al., arXiv 1512.00567: the target is (1 - eps) one-hot + eps / V)
    z-loss      c Z^2                    (PaLM, arXiv 2204.02311)
    entropy     -b H                     (Pereyra et al., arXiv 1701.06548)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nanocore.config.techniques import Objective

NAMES = ("smoothing", "z", "entropy_bonus")  # of the rows of `terms`; metrics are loss/<name>


@dataclass(frozen=True)
class Regularisers:
    """Weights of the three terms; all 0 is off, and then nothing here is called."""

    label_smoothing: float = 0.0
    z_loss: float = 0.0
    entropy_bonus: float = 0.0

    @classmethod
    def of(cls, objective: Objective) -> Regularisers:
        return cls(objective.label_smoothing, objective.z_loss, objective.entropy_bonus)

    @property
    def active(self) -> bool:
        return self != PLAIN

    @property
    def weights(self) -> tuple[float, float, float]:
        """In the order of NAMES."""
        return self.label_smoothing, self.z_loss, self.entropy_bonus

    def terms(self, log_p: Tensor, loss: Tensor, entropy: Tensor, log_z: Tensor) -> Tensor:
        """What each token's loss gets, (3, n), from log_p (n, V) and the others (n,)."""
        smoothing = self.label_smoothing * (-log_p.mean(dim=-1) - loss)
        return torch.stack((smoothing, self.z_loss * log_z.square(), -self.entropy_bonus * entropy))

    def d_logits(self, p: Tensor, log_p: Tensor, entropy: Tensor, log_z: Tensor, targets: Tensor) -> Tensor:
        """Gradient of loss and terms by the logits (n, V); `log_p` is used up."""
        uniform = self.label_smoothing / p.shape[1]
        scale = 1.0 + (2.0 * self.z_loss) * log_z[:, None]  # (n, 1)
        by_entropy = log_p.add_(entropy[:, None]).mul_(p).mul_(self.entropy_bonus)
        gradient = (p * scale).add_(by_entropy).sub_(uniform)
        return gradient.scatter_add_(1, targets[:, None], p.new_full((len(targets), 1), self.label_smoothing - 1.0))


PLAIN = Regularisers()
