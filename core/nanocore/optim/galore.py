"""GaLore-Muon: the gradient is projected to a subspace, in which momentum and orthogonalisation live.

The shorter side is projected: with G (k, L) and an orthonormal basis B (r, k) of the leading left singular vectors of
a gradient, R = B G, the momentum is r x L, and the update B^T NS(R). Sources: GaLore, arXiv 2403.03507; randomised
decomposition: GaLore 2, arXiv 2504.20437; quantised projector and lazy refresh: Q-GaLore, arXiv 2407.08296.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nanocore.optim.momentum import advance, wide
from nanocore.optim.quantised_state import State, Store

CLOSE = 0.4  # Q-GaLore: mean cosine between successive leading vectors from which the interval doubles,
COSINES = 5  # taken over so many refreshes
MAX_DOUBLINGS = 20
# The exact decomposition costs about 20 k^2 L operations and does not use many cores; the randomised one
# 12 k L r in matrix products. Below this shorter side the exact one takes milliseconds, and it is not worth a doubt.
EXACT_SIDE = 512
OVERSAMPLING = 16
POWER_ITERATIONS = 2
_REMAINING, _DOUBLINGS, _REFRESHES = range(3)


@dataclass(frozen=True)
class SubspaceMomentum:
    """Momentum in a subspace of rank `shape[0]` of one matrix (2-D).

    At each refresh it is rotated into the new basis, buf <- (B_new B_old^T) buf: the part of the remembered full
    gradient that lies in the new subspace. Each direction moves as far as in Muon, so an update of rank r has norm
    sqrt(r) where the full one has sqrt(k); a factor sqrt(k / r) was worse (docs/techniques/galore.md). A gradient of
    zeros chooses no subspace; the next step tries again.

    Counters (int64, on the CPU, where reading them waits for no device): steps until the next refresh, doublings of
    the interval, refreshes done. Everything fresh is zero.
    """

    basis: Store
    buffer: Store
    shape: tuple[int, int]
    refresh_every: int
    adaptive: bool

    def slots(self, like: Tensor) -> State:
        state = self.basis.slots(like) | self.buffer.slots(like)
        state["refresh_counters"] = torch.zeros(3, dtype=torch.int64, device="cpu")
        if self.adaptive:
            state["refresh_cosines"] = torch.zeros(COSINES, dtype=torch.float32, device="cpu")
        return state

    def direction(self, gradient: Tensor, state: State, decay: float, nesterov: bool) -> Tensor:
        gradient = wide(gradient)
        basis, buffer = self.basis.read(state, gradient.dtype), self.buffer.read(state, gradient.dtype)
        counters = state["refresh_counters"]
        if counters[_REMAINING] == 0 and bool(gradient.any()):
            old = basis.clone()  # `read` may hand out the live tensor, which is written now
            self.basis.write(state, leading_basis(gradient, self.shape[0]))
            basis = self.basis.read(state, gradient.dtype)
            buffer = (basis @ old.mT) @ buffer
            self._plan(state, old[0], basis[0])
        counters[_REMAINING] = max(0, int(counters[_REMAINING]) - 1)
        direction = advance(buffer, basis @ gradient, decay, nesterov)
        self.buffer.write(state, buffer)
        return direction

    def lift(self, update: Tensor, state: State) -> Tensor:
        return self.basis.read(state, update.dtype).mT @ update

    def _plan(self, state: State, old: Tensor, new: Tensor) -> None:
        """Count a refresh and set the steps to the next one; `old` and `new` are the leading vectors."""
        counters = state["refresh_counters"]
        done = int(counters[_REFRESHES])
        if self.adaptive and done > 0:
            cosines = state["refresh_cosines"]
            # Without its sign, which a singular vector does not have.
            cosines[(done - 1) % COSINES] = torch.nn.functional.cosine_similarity(old, new, dim=0).abs().float().cpu()
            if done >= COSINES and cosines.mean() >= CLOSE:
                counters[_DOUBLINGS] = min(int(counters[_DOUBLINGS]) + 1, MAX_DOUBLINGS)
        counters[_REFRESHES] = done + 1
        counters[_REMAINING] = self.refresh_every << int(counters[_DOUBLINGS])


def leading_basis(matrix: Tensor, rank: int) -> Tensor:
    """(rank, k): the leading left singular vectors of a (k, L) matrix as orthonormal rows.

    Exact for small matrices and for large shares of the spectrum, else randomised.
    """
    matrix = matrix.to(torch.promote_types(matrix.dtype, torch.float32))
    if matrix.shape[0] <= EXACT_SIDE or 2 * (rank + OVERSAMPLING) > matrix.shape[0]:
        return torch.linalg.svd(matrix, full_matrices=False).U[:, :rank].mT
    return _randomised_basis(matrix, rank)


def _randomised_basis(matrix: Tensor, rank: int) -> Tensor:
    """Halko, Martinsson, Tropp, arXiv 0909.4061, algorithms 4.4 and 5.1, by one fixed random test matrix.

    Its generator is seeded anew each time: the same gradient always gives the same basis, and no state is kept.
    """
    generator = torch.Generator(matrix.device).manual_seed(0)
    size = (matrix.shape[1], rank + OVERSAMPLING)
    test = torch.randn(size, generator=generator, device=matrix.device, dtype=matrix.dtype)
    found = torch.linalg.qr(matrix @ test).Q  # (k, rank + OVERSAMPLING)
    for _ in range(POWER_ITERATIONS):
        found = torch.linalg.qr(matrix @ torch.linalg.qr(matrix.mT @ found).Q).Q
    small = found.mT @ matrix
    # Singular vectors of the small matrix from its Gram matrix; ascending eigenvalues.
    vectors = torch.linalg.eigh(small @ small.mT).eigenvectors.flip(-1)[:, :rank]
    return (found @ vectors).mT
