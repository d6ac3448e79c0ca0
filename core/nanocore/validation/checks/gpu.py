"""Check: the kernels of a GPU and a training step on it. They are compiled first, which takes a minute: with --full alone."""

from __future__ import annotations

import math

import torch

from nanocore.objective.goal import Goal
from nanocore.objective.micro_batch import micro_batches
from nanocore.validation.outcome import Found, NotRun, expect, within
from nanocore.validation.steps import BOS, begin, random_batch
from nanocore.validation.workshop import Workshop
from nanokernels import ops
from nanokernels.packing import pack

SHAPES = ((83, 196, 5), (768, 768, 64), (2048, 768, 1))  # rows, columns, tokens


def check(workshop: Workshop) -> Found:
    if not torch.cuda.is_available():
        raise NotRun("torch finds no GPU here")
    if not workshop.full:
        raise NotRun("its kernels are compiled first; --full does that")
    device = torch.device("cuda")
    paths = ops.available_paths(device)
    for rows, columns, tokens in SHAPES:
        _sums(rows, columns, tokens, paths, device)
    loss = _step(device)
    name = torch.cuda.get_device_name(device)
    return Found(
        f"{name}: {', '.join(paths)}, loss off by {loss:.1e}",
        f"{len(SHAPES)} shapes exact; a forward and backward pass",
    )


def _sums(rows: int, columns: int, tokens: int, paths: list[ops.Path], device: torch.device) -> None:
    generator = torch.Generator().manual_seed(rows)
    codes = torch.randint(-1, 2, (rows, columns), generator=generator, dtype=torch.int8)
    x = torch.randint(-127, 128, (tokens, columns), generator=generator, dtype=torch.int8)
    exact = x.long() @ codes.long().mT
    packed = pack(codes.to(device), torch.full((1, 1), 0.037, device=device))
    for path in paths:
        found = ops.int_sums(x.to(device), packed, path=path)[0].cpu().long()
        wrong = int((found != exact).sum())
        expect(wrong == 0, f"{path}, {rows} x {columns}: {wrong} of {exact.numel()} sums differ", "every sum exact")


def _step(device: torch.device) -> float:
    """The loss of a batch there and here, and gradients that are finite; a model of that size is near ln V."""
    core = begin().core
    batch, losses = random_batch(core.config), []
    for place in (torch.device("cpu"), device):
        core.to(place)
        micro = micro_batches(batch, rank=0, world=1, accumulation=1, device=place)[0]
        hidden = core(micro.tokens, positions=micro.positions, documents=micro.documents)
        terms = Goal(core, core.config, batch).terms(hidden, micro)
        terms.loss.backward()
        losses.append(float(terms.loss))
    finite = all(each.grad is None or bool(each.grad.isfinite().all()) for each in core.parameters())
    expect(finite, "a gradient on the GPU is not finite", "finite gradients")
    within("loss off ln 41", abs(losses[1] - math.log(BOS + 1)), 0.5)
    return within("loss on the GPU off the CPU's", abs(losses[1] - losses[0]), 1e-3)
