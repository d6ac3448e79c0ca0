"""Every check of `nanoconsole validate` by name, in the order they run. No torch here: the console reads this too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A check: `about` says in one line what it proves, `where` where to look when it fails, `function` what does it."""

    name: str
    about: str
    where: str
    function: str


CHECKS: tuple[Entry, ...] = (
    Entry(
        "environment",
        "The programs that compute are there, in versions this was made for, and the best kernel path is taken.",
        "docs/troubleshooting.md; nanoconsole doctor tells all of it",
        "nanocore.validation.environment:environment",
    ),
    Entry(
        "kernels",
        "Every path of a ternary product on this machine gives the exact sums of the specification.",
        "docs/kernels.md; kernels/nanokernels",
        "nanocore.validation.kernels:kernels",
    ),
    Entry(
        "generation",
        "The likeliest text is the same with a cache as when the whole text is read for every token.",
        "docs/inference.md; core/nanocore/infer and core/nanocore/model/cache.py",
        "nanocore.validation.generation:generation",
    ),
    Entry(
        "checkpoint",
        "A saved model comes back bit for bit, and a damaged file is refused.",
        "core/nanocore/checkpoint",
        "nanocore.validation.checkpoint:checkpoint",
    ),
)
NAMES: tuple[str, ...] = tuple(entry.name for entry in CHECKS)
