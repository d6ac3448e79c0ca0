"""Tokens a second of whole models: the same file in our engine and, where it is installed, in llama-cpp-python."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from nanocore.bench.model_file import Exported, configurations, make
from nanocore.bench.race import SETTLE
from nanocore.bench.sides import OURS, THEIRS, Ours, Side, Theirs, absent
from nanocore.errors import NanoError
from nanocore.infer.backend import TorchBackend
from nanocore.infer.locate import locate
from nanocore.infer.open import read_model
from nanocore.infer.packed_model import pack_model
from nanocore.model.bitlinear import freeze
from nanocore.wording import counted
from nanokernels import native
from nanokernels.decoder import Number

HEAD: Number = "float16"  # on both sides, as in the file
# Largest relative error of the logits to those of the same file in torch. Ours: a code on the border between two may
# fall to either side. llama.cpp: it quantises blocks of 256 activations, not whole tokens.
TOLERANCES = {OURS: 0.1, THEIRS: 0.3}
WORKS = ("decode", "prefill")
Sides = dict[tuple[str, int], Side]


@dataclass(frozen=True)
class Lengths:
    """Tokens read at once, tokens then read one by one, and how often both are timed."""

    prompt: int
    generated: int
    rounds: int


def end_to_end(threads: Sequence[int], *, quick: bool, progress: Callable[[str], None]) -> dict[str, Any]:
    """Median tokens a second by model, threads and side. Raises NanoError where the logits of a side are wrong."""
    lengths = Lengths(64, 48, 2) if quick else Lengths(256, 128, 5)
    facts: dict[str, Any] = {"prompt": lengths.prompt, "generated": lengths.generated, "rounds": lengths.rounds}
    if (found := native.find()).library is None:
        return facts | {"skipped": f"not run: no native kernels: {found.reason}", "models": []}
    models = []
    with tempfile.TemporaryDirectory() as folder:
        for name, config in configurations(quick=quick).items():
            progress(f"end to end, {name}")
            models.append(_measured(make(name, config, Path(folder)), threads, lengths))
    return facts | {"skipped": "", "models": models}


def _measured(made: Exported, threads: Sequence[int], lengths: Lengths) -> dict[str, Any]:
    model, _, config = read_model(locate(made.path))
    freeze(model)
    packed, missing = pack_model(model, head=HEAD), made.foreign or absent()
    sides: Sides = {(OURS, count): Ours(packed, count) for count in threads}
    if not missing:
        sides |= {(THEIRS, count): Theirs(made.path, config.model.context_length, count) for count in threads}
    count, generator = lengths.prompt + lengths.generated, torch.Generator().manual_seed(0)
    tokens = torch.randint(model.vocab_size - 1, (count,), generator=generator).tolist()
    torch.set_num_threads(max(threads))
    truth = TorchBackend(model).forward(tokens[: lengths.prompt])
    errors = {key: _error(key, side, tokens[: lengths.prompt], truth) for key, side in sides.items()}
    rounds = [{key: _timed(side, tokens, lengths) for key, side in sides.items()} for _ in range(lengths.rounds)]
    return {
        "name": made.name,
        "architecture": made.architecture,
        "file_bytes": made.path.stat().st_size,
        "head": HEAD,
        "llama_cpp": missing,
        "errors": {name: max(error for (each, _), error in errors.items() if each == name) for name, _ in sides},
        "results": [_compared(work, count, rounds) for count in threads for work in WORKS],
    }


def _error(key: tuple[str, int], side: Side, tokens: list[int], truth: Tensor) -> float:
    """Relative error of a side's logits after some tokens; it also warms the side up."""
    side.restart()
    error = float((side.read(tokens) - truth).norm() / truth.norm())
    if not error <= TOLERANCES[key[0]]:
        what = f"the logits are wrong by {error:.1e}, {TOLERANCES[key[0]]:.0e} is allowed"
        raise NanoError(what, where=f"end to end, {key[0]}, {counted(key[1], 'thread')}")
    return round(error, 6)


def _timed(side: Side, tokens: list[int], lengths: Lengths) -> dict[str, float]:
    """Tokens a second. After each token the likeliest is looked for, as in any greedy text; the next one is given."""
    time.sleep(SETTLE)
    side.restart()
    began = time.perf_counter()
    int(side.read(tokens[: lengths.prompt]).argmax())
    prefilled = time.perf_counter()
    for token in tokens[lengths.prompt :]:
        int(side.read([token]).argmax())
    decoded = time.perf_counter()
    return {"prefill": lengths.prompt / (prefilled - began), "decode": lengths.generated / (decoded - prefilled)}


def _compared(work: str, threads: int, rounds: list[dict[tuple[str, int], dict[str, float]]]) -> dict[str, Any]:
    rates = {name: [each[name, count][work] for each in rounds] for name, count in rounds[0] if count == threads}
    middle = {name: median(found) for name, found in rates.items()}
    sides = {
        name: {
            "tokens_per_second": round(middle[name], 1),
            "least": round(min(found), 1),
            "largest": round(max(found), 1),
        }
        for name, found in rates.items()
    }
    ratio = round(middle[OURS] / middle[THEIRS], 3) if THEIRS in middle else None
    return {"threads": threads, "work": work, "sides": sides, "ratio": ratio}
