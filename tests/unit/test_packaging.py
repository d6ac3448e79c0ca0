"""What a wheel holds: every package folder, and the presets."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {
    "nanoconsole": ROOT / "nanoconsole",
    "nanocore": ROOT / "core/nanocore",
    "nanokernels": ROOT / "kernels/nanokernels",
}


def test_every_folder_with_python_files_is_a_listed_package() -> None:
    found = {"nanocore_presets"}
    for name, folder in FOLDERS.items():
        for file in folder.rglob("*.py"):
            found.add(".".join([name, *file.parent.relative_to(folder).parts]))
    assert found == set(PYPROJECT["tool"]["setuptools"]["packages"])


def test_files_that_are_not_python_travel_too() -> None:
    data = PYPROJECT["tool"]["setuptools"]["package-data"]
    style_sheets = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in (ROOT / "nanoconsole").rglob("*.tcss")
    }
    assert style_sheets <= {package for package, globs in data.items() if "*.tcss" in globs}
    assert data["nanocore_presets"] == ["*.toml"]


def test_oracles_are_never_runtime_dependencies() -> None:
    names = {line.split(">")[0].split("=")[0].strip() for line in PYPROJECT["project"]["dependencies"]}
    oracles = {line.split(">")[0].strip() for line in PYPROJECT["dependency-groups"]["oracle"]}
    assert not names & oracles
