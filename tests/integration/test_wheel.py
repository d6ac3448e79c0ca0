"""A wheel, installed into an empty environment, finds the presets and starts."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, timeout=110)
    return next(folder.glob("nanoconsole-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_code_presets_and_style_sheets(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "nanocore_presets/tiny-cpu.toml" in names
    assert "nanocore/config/schema.py" in names and "nanokernels/int_matmul.py" in names
    assert any(name.endswith(".tcss") for name in names)
    assert not any(name.startswith(("tests/", "core/", "kernels/")) for name in names)


@pytest.mark.slow
def test_an_empty_environment_lists_the_presets(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    site = next((environment / "lib").glob("python*")) / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    # the libraries of this environment, without its own editable install of the project
    libraries = next(Path(sys.prefix, "lib").glob("python*")) / "site-packages"
    (site / "libraries.pth").write_text(str(libraries))
    done = subprocess.run(
        [environment / "bin/python", "-P", "-m", "nanoconsole", "presets", "list", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tiny-cpu" in done.stdout
    where = subprocess.run(
        [environment / "bin/python", "-P", "-c", "import nanocore_presets; print(nanocore_presets.__file__)"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(site))
