"""A wheel, installed into an empty environment, finds the presets and starts, with a compiler at hand or without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nanocore.data.tokenizer import ByteTokenizer
from tests.exports import export, exported_model

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "nanoconsole", "core", "kernels", "presets")
NO_COMPILER = {"PATH": "/nonexistent", "CC": ""}  # an empty CC counts as none


def build(folder: Path, **environment: str) -> Path:
    """A wheel of a fresh copy: what an earlier build left behind would travel into it."""
    source = folder / "source"
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
            )
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    wheels = ["wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(folder)]
    command = [sys.executable, "-m", "pip", *wheels, str(source)]
    subprocess.run(command, check=True, timeout=110, env={**os.environ, **environment})
    return next(folder.glob("nanoconsole-*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


def install(wheel: Path, environment: Path) -> Path:
    """An environment with this wheel and the libraries of this one, without its own editable install of the project."""
    venv.create(environment, with_pip=False)
    site = next((environment / "lib").glob("python*")) / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    libraries = next(Path(sys.prefix, "lib").glob("python*")) / "site-packages"
    (site / "libraries.pth").write_text(str(libraries))
    return environment / "bin/python"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("installed") / "venv")


def run(python: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` of an installation, in a folder that holds its cache too, with nothing else in its path."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CC")}
    return subprocess.run(
        [python, "-P", *arguments], cwd=folder, capture_output=True, text=True, timeout=100,
        check=False, env={**kept, "NANOCONSOLE_CACHE": str(folder / "cache"), **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "tiny.gguf"
    export(exported_model("mhc.streams=1", vocabulary=ByteTokenizer().vocab_size), path)
    return path


def generated(python: Path, file: Path, folder: Path, **environment: str) -> tuple[dict[str, Any], str]:
    """What a text of eight tokens was computed with, and what was said meanwhile."""
    wish = ("--prompt", "def ", "--tokens", "8", "--temperature", "0", "--json")
    done = run(python, folder, "-m", "nanoconsole", "generate", str(file), *wish, **environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["tokens"] == 8 and not list((folder / "cache").rglob("*.so"))
    return told, done.stderr


def test_the_wheel_holds_code_presets_and_style_sheets(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "nanocore_presets/tiny-cpu.toml" in names
    assert "nanocore/config/schema.py" in names and "nanokernels/int_matmul.py" in names
    assert any(name.endswith(".tcss") for name in names)
    assert not any(name.startswith(("tests/", "core/", "kernels/")) for name in names)


def test_an_empty_environment_lists_the_presets(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-m", "nanoconsole", "presets", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert "tiny-cpu" in done.stdout
    where = run(installed, tmp_path, "-c", "import nanocore_presets; print(nanocore_presets.__file__)")
    assert where.stdout.startswith(str(installed.parents[1]))


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler to build the wheel with")
def test_the_kernels_of_the_wheel_need_no_compiler_where_it_is_installed(
    installed: Path, exported: Path, tmp_path: Path
) -> None:
    told, _ = generated(installed, exported, tmp_path, **NO_COMPILER)
    assert told["backend"].startswith("native ("), told["reason"]
    told, _ = generated(installed, exported, tmp_path, **NO_COMPILER, NANOKERNELS_NATIVE="0")
    assert told["backend"] == "torch" and "NANOKERNELS_NATIVE=0" in told["reason"]


def test_a_wheel_built_without_a_compiler_runs_and_says_what_is_missing(exported: Path, tmp_path: Path) -> None:
    wheel = build(tmp_path, CC="/nonexistent")
    assert not any(name.endswith(".so") for name in zipfile.ZipFile(wheel).namelist())
    told, _ = generated(install(wheel, tmp_path / "venv"), exported, tmp_path, **NO_COMPILER)
    assert told["backend"] == "torch" and "no C compiler: install gcc or clang" in told["reason"]
