"""The native library is found, compiled or left out as the machine allows, and its threads do their share."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nanokernels import build, decoder, native, native_ops, ops
from nanokernels.packing import PackedTernary, pack
from nanokernels.paths import available_paths, unavailable_paths

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
needs_native = pytest.mark.skipif(native.find().library is None, reason="no native kernels here")
WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
REPORT = """
import torch
from nanokernels import native, ops
from nanokernels.packing import pack
x, packed = torch.randn(3, 12), pack(torch.ones(5, 12, dtype=torch.int8), torch.ones(1, 1))
assert torch.equal(ops.ternary_linear(x, packed), ops.ternary_linear(x, packed, path="torch"))
print(ops.active_path(), "|", ops.unavailable_paths().get("scalar", native.find().origin))
"""


def report(cache: Path, **environment: str) -> str:
    """What a fresh process says of its path, with no built extension in sight."""
    code = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n.endswith('_native') else f(n, *a)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NANOCONSOLE_CACHE": str(cache), **environment}
    done = subprocess.run([sys.executable, "-c", code + REPORT], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def matrix(rows: int = 300, columns: int = 64) -> PackedTernary:
    generator = torch.Generator().manual_seed(0)
    return pack(torch.randint(-1, 2, (rows, columns), generator=generator).to(torch.int8), torch.ones(1, 1))


def test_without_a_compiler_torch_computes_and_the_reason_is_told(tmp_path: Path) -> None:
    said = report(tmp_path, CC="/nonexistent")
    assert said.startswith("torch | no native kernels: no C compiler: CC is /nonexistent, which is not there")


@pytest.mark.slow
def test_the_native_kernels_can_be_switched_off(tmp_path: Path) -> None:
    said = report(tmp_path, NANOKERNELS_NATIVE="0")
    assert said == "torch | no native kernels: switched off by NANOKERNELS_NATIVE=0"
    assert not (tmp_path / "native").exists()


@needs_native
def test_an_extension_older_than_its_sources_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "kernels/nanokernels"
    (package / "csrc").mkdir(parents=True)
    (package / "csrc/new.c").write_text("")
    extension = Path(shutil.copy(native_ops.library()._name, package / "_native.abi3.so"))
    monkeypatch.setattr(build, "CSRC", package / "csrc")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(origin=str(extension)))
    assert native._extension() == extension  # installed from a wheel: its sources came with it
    os.utime(extension, (0, 0))
    assert native._extension() == extension
    (tmp_path / "pyproject.toml").write_text("")  # a working copy, whose sources change
    assert native._extension() is None


@needs_native
def test_the_python_structs_have_the_layout_of_the_c_header() -> None:
    header = (build.CSRC / "nanokernels.h").read_text()
    assert f"#define NK_VERSION {native.VERSION} " in header
    assert ctypes.sizeof(native.Matrix) == 32 and ctypes.sizeof(native.Tokens) == 40 and ctypes.sizeof(native.Isa) == 32
    assert ctypes.sizeof(native.Piece) == 32
    assert f"#define NK_HEAD_ROWS {decoder.HEAD_ROWS} " in (build.CSRC / "decoder.h").read_text()


@needs_native
def test_an_instruction_set_can_be_forced_and_given_back() -> None:
    library = native_ops.library()
    fastest = library.nk_active().contents.name
    assert library.nk_use(b"scalar") == 1 and library.nk_active().contents.name == b"scalar"
    assert library.nk_use(b"sparkling") == 0 and library.nk_active().contents.name == b"scalar"
    assert library.nk_use(None) == 1 and library.nk_active().contents.name == fastest


def test_a_path_that_is_not_here_is_refused_with_the_reason() -> None:
    for path, reason in unavailable_paths().items():
        with pytest.raises(ValueError, match=f"{path} cannot run here"):
            ops.ternary_linear(torch.zeros(1, 64), matrix(), path=path)
        assert reason
    assert {"torch", "reference"} <= set(available_paths())


@needs_native
def test_a_pool_runs_every_share_once_however_often() -> None:
    library, seen = native_ops.library(), []
    pool = ctypes.c_void_p(library.nk_pool_new(5))
    library.nk_pool_run.argtypes = [ctypes.c_void_p, WORK, ctypes.c_void_p]
    for _ in range(50):
        library.nk_pool_run(pool, WORK(lambda _, thread, threads: seen.append((thread, threads))), None)
    library.nk_pool_free(pool)
    assert sorted(seen) == [(thread, 5) for thread in range(5) for _ in range(50)]


@needs_native
def test_many_threads_on_few_cpus_finish_and_are_right() -> None:
    allowed = os.sched_getaffinity(0)
    packed, x = matrix(2000), torch.randn(2, 64)
    expected = ops.ternary_linear(x, packed, path="torch")
    try:
        os.sched_setaffinity(0, {min(allowed)})
        for _ in range(100):
            assert torch.equal(ops.ternary_linear(x, packed, path="scalar", threads=8), expected)
    finally:
        os.sched_setaffinity(0, allowed)


@needs_native
@pytest.mark.parametrize("threads", [0, -1, 1000])
def test_no_pool_is_started_for_a_senseless_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_ops, "cpus", lambda: 2)
    with pytest.raises(ValueError, match="is not between 1 and 64"):
        native_ops.pool(threads)
    assert threads not in native_ops._pools


@needs_native
def test_more_threads_than_row_blocks_leave_none_out() -> None:
    x = torch.randn(3, 64)
    for rows in (1, 64, 65, 200):
        packed = matrix(rows)
        expected = ops.ternary_linear(x, packed, path="torch")
        assert torch.equal(ops.ternary_linear(x, packed, path="scalar", threads=7), expected)


@needs_native
def test_a_forked_child_does_not_wait_for_threads_it_has_not() -> None:
    library, seen = native_ops.library(), []
    packed, x, work = matrix(), torch.ones(1, 64), WORK(lambda _, thread, threads: seen.append(thread))
    expected = ops.ternary_linear(x, packed, path="scalar", threads=3)
    parents = ctypes.c_void_p(native_ops.pool(3))
    library.nk_pool_run.argtypes = [ctypes.c_void_p, WORK, ctypes.c_void_p]
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        same = torch.equal(ops.ternary_linear(x, packed, path="scalar", threads=3), expected)
        library.nk_pool_run(parents, work, None)
        os._exit(0 if same and seen == [0, 1, 2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_native
def test_a_child_forked_while_a_thread_starts_a_pool_does_not_wait_for_it() -> None:
    packed, x = matrix(), torch.ones(1, 64)
    expected = ops.ternary_linear(x, packed, path="scalar", threads=3)
    with native_ops._pools_lock:  # what another thread of the parent may hold
        assert torch.equal(ops.ternary_linear(x, packed, path="scalar", threads=3), expected)  # known: needs no lock
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            same = torch.equal(ops.ternary_linear(x, packed, path="scalar", threads=4), expected)
            os._exit(0 if same and set(native_ops._pools) == {4} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_extension_is_built_from_every_source() -> None:
    """pyproject.toml lists files one by one; a forgotten one would leave the extension with unknown symbols."""
    root = build.CSRC.parents[2]
    modules = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    listed = {root / source for source in modules[0]["sources"]}
    assert listed == {*build.sources(), build.CSRC / "module.c"}
    assert {"-ffp-contract=off", "-O3"} <= set(modules[0]["extra-compile-args"]) and modules[0]["optional"]


@pytest.mark.parametrize(("value", "lines"), [("off", 1), ("", 0), ("1", 0), ("0", 0)])
def test_a_switch_that_means_nothing_is_told(
    value: str, lines: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NANOKERNELS_NATIVE", value)
    monkeypatch.setattr(native, "_extension", lambda: None)
    monkeypatch.setattr(native, "_compiled", lambda: native.Found(None, "", "none"))
    native.find.__wrapped__()
    assert [record.getMessage().startswith(f"NANOKERNELS_NATIVE is {value!r}") for record in caplog.records] == [
        True
    ] * lines
