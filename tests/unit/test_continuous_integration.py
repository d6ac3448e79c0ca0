"""What CI runs is what a person runs, and what docs/architecture.md says of both."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOW = (ROOT / ".github/workflows/test.yml").read_text()
SECTION = (ROOT / "docs/architecture.md").read_text().partition("\n## Tests and CI\n")[2]


def test_the_workflow_runs_the_one_script_and_nothing_else() -> None:
    assert re.findall(r"^ +(?:- )?run: (.+)$", WORKFLOW, re.MULTILINE) == [".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert re.search(r"^(if ! )?make test\b", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_the_workflow_takes_the_oldest_python_that_is_supported() -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    (versions,) = re.findall(r"python: \[(.+)\]", WORKFLOW)
    assert f'"{oldest}"' in versions.split(", ")


def test_new_versions_of_packages_and_of_actions_are_looked_for() -> None:
    dependabot = (ROOT / ".github/dependabot.yml").read_text()
    assert set(re.findall(r"package-ecosystem: (\S+)", dependabot)) == {"pip", "github-actions"}


@pytest.mark.parametrize("target", ["test", "lint", "unit", "test-slow", "test-gpu", "test-oracle", "test-faults"])
def test_every_target_that_tests_is_told_of(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}:", makefile, re.MULTILINE) and f"| `make {target}` |" in SECTION
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony and all(f"`make {each}`" in SECTION for each in phony[1].split() if each.startswith("test"))
