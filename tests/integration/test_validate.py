"""`nanoconsole validate` as a user runs it: a real console, a real worker, and a real trainer that is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.runs.layout import RunFolder, list_runs
from nanocore.runs.liveness import observe
from nanocore.validation.catalog import NAMES
from tests.run_helpers import wait_for


def validate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(folder), "NANOCONSOLE_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "nanoconsole", "validate", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


def test_one_check_through_the_worker(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    result = validate(tmp_path, "--only", "checkpoint", "--only", "gpu", "--keep", str(kept))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("✓ checkpoint   passed") and "not run" in lines[2]
    assert result.stderr.startswith("1 passed, 0 failed, 1 not run in ")
    assert [run.name for run in list_runs(kept)] == ["checkpoint"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("full", [(), ("--full",)], ids=["short", "full"])
def test_all_checks_hold_and_nothing_is_left(full: tuple[str, ...], tmp_path: Path) -> None:
    result = validate(tmp_path, "--json", *full)
    found = json.loads(result.stdout)
    assert result.returncode == 0, found
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert list(states) == list(NAMES)
    assert set(states.values()) <= {"passed", "not run"}
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}


@pytest.mark.slow
def test_a_console_that_is_killed_takes_worker_trainer_and_folder_with_it(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "NANOCONSOLE_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "nanoconsole", "validate", "--only", "kill", "--only", "techniques"]
    console = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: [run for run in killed_runs(tmp_path) if observe(run).alive], "the trainer's start")
    (run,) = killed_runs(tmp_path)
    pid = observe(run).pid
    console.kill()
    console.wait()
    wait_for(lambda: not run.path.parent.exists(), "the removal of the folder")
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the trainer's end")


def killed_runs(folder: Path) -> list[RunFolder]:
    return [RunFolder(path) for path in folder.glob("nanoconsole-validate-*/killed")]
