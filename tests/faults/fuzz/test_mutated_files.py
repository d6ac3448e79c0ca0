"""Damaged files of every format: one line of one of our own errors, or a file that is still sound; soon, and in little memory.

At length: `make test-faults`, or for one format `python -m tests.faults.fuzz --only gguf --count 10000`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.fuzz.formats import Format, heavy, light
from tests.faults.fuzz.harness import fuzz

LIGHT = ("toml, a preset", "toml, every key", "run folder", "manifest", "queue", "archive")
HEAVY = ("gguf", "hugging face", "safetensors", "mhc", "tokenizer.json", "checkpoint")
SOME = {
    "run folder": 12,
    "archive": 25,
    "queue": 40,
    "hugging face": 30,
    "checkpoint": 30,
}  # slower to make or to read than others
FEW, MANY = 80, 10_000


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Format]:
    """The formats by name; those that need torch are made when the first of them is asked for."""
    made: dict[str, Format] = {}

    def find(name: str) -> Format:
        if name not in made:
            make, place = (light if name in LIGHT else heavy), tmp_path_factory.mktemp("samples")
            made.update({kind.name: kind for kind in make(place)})
        return made[name]

    return find


def run(kind: Format, place: Path, count: int) -> None:
    tally = fuzz(kind, count, place)
    assert tally.files == count and (kind.tolerant or tally.refused.total() > 0)


@pytest.mark.parametrize("name", (*LIGHT, *HEAVY))
def test_damage_meets_one_kind_of_error(name: str, kinds: Callable[[str], Format], tmp_path: Path) -> None:
    run(kinds(name), tmp_path, SOME.get(name, FEW))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", (*LIGHT, *HEAVY))
def test_ten_thousand_damaged_files(name: str, kinds: Callable[[str], Format], tmp_path: Path) -> None:
    run(kinds(name), tmp_path, MANY)
