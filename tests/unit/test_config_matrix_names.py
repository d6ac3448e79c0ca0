"""Names of matrices from the schema are those of the model, and patterns choose among them."""

from __future__ import annotations

import pytest

from nanocore.config.matrix_names import matching, matrix_names
from nanocore.errors import UsageError
from nanocore.model.transformer import Transformer
from tests.techniques import MODELS, SMALL
from tests.tiny import tiny_config

NAMES = [f"blocks.{i}.attention.{part}.weight" for i in range(2) for part in ("query", "key", "value")]


@pytest.mark.parametrize("sets", [(), *MODELS.values()], ids=["plain", *MODELS])
def test_names_are_those_of_the_model(sets: tuple[str, ...]) -> None:
    config = tiny_config(*SMALL, *sets)
    roles = Transformer(config, 257).roles()
    assert matrix_names(config) == [name for name, role in roles.items() if role == "matrix"]


def test_patterns_choose_names() -> None:
    assert matching(NAMES, ["*.query.weight", "*.key.weight"]) == [name for name in NAMES if "value" not in name]
    assert matching(NAMES, ["blocks.1.*", "*.1.attention.key.weight"]) == NAMES[3:]


@pytest.mark.parametrize("patterns", [["*.quary.weight"], ["*.query.weight", "*.KEY.weight"]])
def test_a_pattern_that_fits_nothing_is_an_error(patterns: list[str]) -> None:
    with pytest.raises(UsageError, match="fits no matrix"):
        matching(NAMES, patterns)
    with pytest.raises(UsageError):
        matching([], ["*"])
