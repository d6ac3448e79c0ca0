"""The gated delta rule: a matrix memory of each head, decayed, corrected towards a value, and read at every token.

    S = exp(g_t) S;  S = S + k_t beta_t (v_t - S^T k_t)^T;  o_t = S^T q_t
Gated DeltaNet (arXiv 2412.06464); without decay DeltaNet (arXiv 2406.06484). B rows of T tokens, H heads, keys of width
K, values of width V. Keys are unit vectors and beta is in [0, 1]. Everything is computed in float32 at least, and o is
not divided by sqrt(K): the norm that follows would undo it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def recurrent(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor | None, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Token by token, as the formula reads: outputs (B, T, H, V) in v's dtype, and the state (B, H, K, V) at the end.

    q, k (B, T, H, K), v (B, T, H, V), beta and log_decay (B, T, H); None for log_decay is no decay, for state zeros.
    """
    dtype = torch.promote_types(v.dtype, torch.float32)
    with torch.autocast(v.device.type, enabled=False):
        queries, keys, values, strength = (x.to(dtype).transpose(1, 2) for x in (q, k, v, beta.unsqueeze(-1)))
        decay = log_decay.to(dtype).exp()[..., None, None] if log_decay is not None else None  # (B, T, H, 1, 1)
        state = _initial(state, keys, values)
        out = []
        for t in range(q.shape[1]):
            now = slice(t, t + 1)
            state = state if decay is None else state * decay[:, t]
            change = strength[:, :, now] * (values[:, :, now] - keys[:, :, now] @ state)  # (B, H, 1, V)
            state = state + keys[:, :, now].mT @ change
            out.append(queries[:, :, now] @ state)
        return torch.cat(out, dim=2).transpose(1, 2).to(v.dtype), state


def chunked(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None,
    *,
    chunk: int,
    documents: Tensor | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The same as `recurrent` in matrix products over chunks of `chunk` tokens, one step of a loop for each chunk.

    `documents` (B, T) number the documents in a row, each in one piece: every one begins with an empty memory, and a
    given `state` belongs to the first. The changes X that the tokens of a chunk make depend on each other through
    (I + A) X = beta (V - decay K S) with A_ij = beta_i (k_i . k_j) decay_ij below the diagonal (WY form): solved for
    both parts before S, the state that enters the chunk, is known.
    """
    dtype, length = torch.promote_types(v.dtype, torch.float32), v.shape[1]
    chunk = min(chunk, length)
    with torch.autocast(v.device.type, enabled=False):
        queries, keys, values, strength = (_split(x.to(dtype), chunk) for x in (q, k, v, beta.unsqueeze(-1)))
        log_decay = v.new_zeros((1, length, 1), dtype=dtype) if log_decay is None else log_decay.to(dtype)
        decays = _decays(log_decay, documents, chunk)
        written = keys * strength
        rows = torch.cat((values * strength, written * decays.since_start), dim=-1)  # (N, B, H, C, V + K)
        # Only what is below the diagonal is read.
        solved = torch.linalg.solve_triangular(
            written @ keys.mT * decays.between, rows, upper=False, unitriangular=True
        )
        states, changes, state = _scan(solved, keys, decays, _initial(state, keys[0], values[0]))
        out = queries * decays.since_start @ states + (queries @ keys.mT * decays.between) @ changes
        return out.permute(1, 0, 3, 2, 4).flatten(1, 2)[:, :length].to(v.dtype), state


class _Decays(NamedTuple):
    """What is left at token i of a chunk, 0 where a document border lies between; H is 1 without decay, B as well.

    `between` (N, B, H, C, C): of what token j <= i wrote; `since_start` (N, B, H, C, 1): of the state that entered.
    """

    between: Tensor
    since_start: Tensor


def _decays(log_decay: Tensor, documents: Tensor | None, chunk: int) -> _Decays:
    """Each factor is the exponential of its own sum: differences of running sums would lose what is small beside them."""
    logs = _split(log_decay.unsqueeze(-1), chunk)  # (N, B, H, C, 1)
    lower = torch.ones(chunk, chunk, dtype=torch.bool, device=logs.device).tril_()
    sums = logs.expand(*logs.shape[:-1], chunk).masked_fill(~lower.tril(-1), 0.0).cumsum(dim=-2)
    since_start, hidden = logs.cumsum(dim=-2).exp(), ~lower
    if documents is not None:
        extra = -documents.shape[1] % chunk
        padded = torch.cat((documents, documents[:, -1:].expand(-1, extra)), dim=1)
        numbers = padded.unflatten(1, (-1, chunk)).transpose(0, 1)  # (N, B, C)
        before = torch.cat((numbers[:1, :, :1], numbers[:-1, :, -1:]))  # (N, B, 1): of the token before the chunk
        hidden = (hidden | (numbers.unsqueeze(-1) != numbers.unsqueeze(-2))).unsqueeze(2)
        since_start = since_start * (numbers == before)[:, :, None, :, None]
    return _Decays(sums.masked_fill(hidden, -torch.inf).exp(), since_start)


def _scan(solved: Tensor, keys: Tensor, decays: _Decays, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From chunk to chunk: the states that enter each, (N, B, H, K, V), the changes (N, B, H, C, V), the last state."""
    new, erased = solved.split((state.shape[-1], state.shape[-2]), dim=-1)
    kept_keys = keys * decays.between[..., -1, :, None]  # (N, B, H, C, K): what is left of each at the end
    kept = decays.since_start[..., -1:, :]  # (N, B, H, 1, 1)
    states, changes = [], []
    for n in range(keys.shape[0]):
        states.append(state)
        changes.append(new[n] - erased[n] @ state)
        state = kept[n] * state + kept_keys[n].mT @ changes[n]
    return torch.stack(states), torch.stack(changes), state


def _split(x: Tensor, chunk: int) -> Tensor:
    """(B, T, H, d) to (N, B, H, C, d), zeros behind the end: such tokens write nothing and decay nothing.

    Contiguous: every product would make, and keep, its own copy.
    """
    padded = F.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % chunk))
    return padded.unflatten(1, (-1, chunk)).permute(1, 0, 3, 2, 4).contiguous()


def _initial(state: Tensor | None, keys: Tensor, values: Tensor) -> Tensor:
    """The given state, or zeros (B, H, K, V) for keys (B, H, T, K) and values (B, H, T, V)."""
    shape = (*keys.shape[:2], keys.shape[-1], values.shape[-1])
    return keys.new_zeros(shape) if state is None else state.to(keys.dtype)
