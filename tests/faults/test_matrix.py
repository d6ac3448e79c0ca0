"""Every row of the fault matrix names tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.faults.matrix import MATRIX, Row

TESTS = Path(__file__).parents[1]


def test_there_are_thirty_six() -> None:
    assert len(MATRIX) == 36
    assert len({row.fault for row in MATRIX}) == 36


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: row.fault)
def test_a_row_has_its_tests(row: Row) -> None:
    assert row.tests and row.required
    for name in row.tests:
        file, _, function = name.partition("::")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in defined if function else any(each.startswith("test_") for each in defined), name
