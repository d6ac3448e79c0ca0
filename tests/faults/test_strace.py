"""The same faults as the failpoints, injected by the kernel at real system calls (needs strace and ptrace)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import latest, sweep, verify

SAVE = """
import sys
from pathlib import Path
from nanocore.checkpoint.manifest import commit, step_folder
def build(folder):
    (folder / "model.safetensors").write_bytes(sys.argv[2].encode() * 5000)
    (folder / "state.json").write_text(sys.argv[2])
commit(build, step_folder(Path(sys.argv[1]), int(sys.argv[2])), {})
"""
CALLS = ("fsync", "rename", "mkdir", "fchmod", "write")  # none of them is made before the save begins
pytestmark = pytest.mark.strace


@pytest.fixture(autouse=True)
def strace_works() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("ptrace is not allowed here")


def _save(folder: Path, step: int, *options: str) -> int:
    command = ["strace", "-f", "-qq", "-o", "/dev/null", *options] if options else []
    done = subprocess.run(
        [*command, sys.executable, "-B", "-c", SAVE, str(folder), str(step)], capture_output=True, check=False
    )
    return done.returncode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoints"
    assert _save(folder, 100) == 0
    return folder


def test_a_kill_at_every_system_call_of_a_save_leaves_the_old_or_the_new(folder: Path) -> None:
    killed = 0
    for call in CALLS:
        for k in range(1, 12):
            code = _save(folder, 200, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={k}")
            found = latest(folder)
            assert found is not None, (call, k)
            assert found.name in ("step-00000100", "step-00000200")
            assert (found / "state.json").read_text() == str(int(found.name[5:]))
            sweep(folder)
            assert not [path for path in folder.iterdir() if path.name.startswith(".")]
            shutil.rmtree(folder / "step-00000200", ignore_errors=True)
            if code == 0:
                break
            killed += 1
    assert killed >= 12


@pytest.mark.parametrize(
    ("call", "error"), [("fsync", "EIO"), ("write", "ENOSPC"), ("rename", "EROFS"), ("mkdir", "ENOSPC")]
)
def test_an_error_of_the_disk_is_an_error_of_the_save(folder: Path, call: str, error: str) -> None:
    failed = 0
    for k in range(1, 5):
        code = _save(folder, 200, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={k}")
        failed += code != 0
        if code == 0 and not verify(folder / "step-00000200"):
            shutil.rmtree(folder / "step-00000200")
        assert latest(folder) == folder / "step-00000100"
        sweep(folder)
    assert failed >= 1
