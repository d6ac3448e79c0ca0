"""Made-up text for tests: little programs with rules that a model can learn, the same on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator

SEED = 2_718_281
NAMES = ("ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen")
LINES = 24


def synthetic_documents(count: int, seed: int = 0) -> Iterator[str]:
    """`count` documents of about 400 bytes; document i does not depend on how many there are.

    No two seeds share the state of a generator, so their documents differ.

    Each assigns small numbers to names and asks for sums and copies: spelling and form are learned in
    minutes, the copied numbers need attention, the sums need more.
    """
    for index in range(count):
        yield _document(random.Random((seed << 32) + SEED + index))


def _document(source: random.Random) -> str:
    values: dict[str, int] = {}
    lines = [_line(source, values) for _ in range(LINES)]
    return "\n".join(lines) + "\n"


def _line(source: random.Random, values: dict[str, int]) -> str:
    # random() alone keeps its sequence over Python versions, so every choice is made of it.
    name = NAMES[int(source.random() * len(NAMES))]
    if len(values) < 2 or source.random() < 0.4:
        values[name] = int(source.random() * 50)
        return f"let {name} = {values[name]}"
    known = sorted(values)
    first, second = (known[int(source.random() * len(known))] for _ in range(2))
    if source.random() < 0.5:
        return f"say {first} -> {values[first]}"
    return f"add {first} and {second} -> {values[first] + values[second]}"
