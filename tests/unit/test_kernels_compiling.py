"""The native library is compiled at first use: once, whole or not at all, and every reason why not is told."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from nanokernels import build, native, native_ops

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
needs_native = pytest.mark.skipif(native.find().library is None, reason="no native kernels here")


@pytest.fixture
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, no built extension, and a copy of what is loaded already instead of seconds of compiling."""
    monkeypatch.setattr(native, "_extension", lambda: None)
    monkeypatch.setattr(build, "make", copy_of_this_process)
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path))
    return tmp_path


def copy_of_this_process(command: str, scratch: Path) -> Path:
    return Path(shutil.copy(native_ops.library()._name, scratch / "copy.so"))


def found() -> native.Found:
    """What a process would find that starts now."""
    return native.find.__wrapped__()


def program(path: Path, text: str = "", *, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def real_make(monkeypatch: pytest.MonkeyPatch, make: object = build.make) -> None:
    monkeypatch.setattr(build, "make", make)


def test_a_compiler_that_fails_is_quoted(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = program(anew / "cc", "#!/bin/sh\necho 'x.c:1: error: unknown instruction' >&2\nexit 1\n")
    real_make(monkeypatch)
    monkeypatch.setenv("CC", broken)
    assert found().library is None and found().reason == f"{broken} failed: x.c:1: error: unknown instruction"
    assert not list(anew.rglob("*.so")) and not list(anew.rglob("tmp*"))


def test_a_compiler_that_cannot_be_run_is_named_and_not_the_cache(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = program(anew / "cc", "#!/nonexistent/interpreter\n")
    real_make(monkeypatch)
    monkeypatch.setenv("CC", broken)
    reason = found().reason
    assert reason.startswith(f"{broken} cannot be run: ") and "cache" not in reason


@pytest.mark.parametrize("arguments", ["", " -m64", " gcc -DX='a b'"])
def test_a_compiler_may_have_arguments(anew: Path, monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    heard = anew / "heard"
    monkeypatch.setenv("CC", program(anew / "cc", f"#!/bin/sh\necho \"$1|$2\" >> '{heard}'\nexit 1\n") + arguments)
    assert build.compiler().startswith(str(anew / "cc"))
    real_make(monkeypatch)
    assert found().library is None
    first = {"": "-std=gnu11|-O3", " -m64": "-m64|-std=gnu11", " gcc -DX='a b'": "gcc|-DX=a b"}[arguments]
    assert heard.read_text().splitlines()[0] == first


def test_an_unreadable_compiler_line_is_told(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "gcc 'open")
    assert found().reason == "CC is gcc 'open, which cannot be read: No closing quotation"


def test_no_more_compilers_run_at_once_than_cpus_are_allowed(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    pool = build.ThreadPoolExecutor
    monkeypatch.setattr(build, "ThreadPoolExecutor", lambda max_workers: asked.append(max_workers) or pool(max_workers))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 8})
    monkeypatch.setattr(build, "_run", lambda command: None)
    real_make(monkeypatch)
    build.make("cc", anew)
    assert asked == [3]


@needs_native
def test_compiling_is_told_once_and_its_result_is_found_without_a_compiler(
    anew: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CC", program(anew / "cc"))
    assert found().origin == f"compiled at first use: {build.library_path()}"
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        f"compiling the native kernels with {anew / 'cc'}"
    ]
    caplog.clear()
    monkeypatch.setenv("CC", "/nonexistent")
    monkeypatch.setattr(build, "make", None)
    assert found().origin.startswith("compiled at first use") and not caplog.records


@needs_native
@needs_compiler
def test_where_the_cache_cannot_be_written_the_library_is_compiled_for_this_process(
    anew: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (anew / "file").write_text("")
    (anew / "temporary").mkdir()
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(anew / "file"))
    monkeypatch.setattr(build.tempfile, "tempdir", str(anew / "temporary"))
    library, origin, _ = found()
    assert library is not None and library.nk_version() == native.VERSION
    assert "for this process alone: the cache folder" in origin
    assert [record.getMessage().count("for this process alone") for record in caplog.records] == [1]
    assert not list((anew / "temporary").iterdir())
    monkeypatch.setattr(build.tempfile, "tempdir", str(anew / "nowhere"))
    assert "cannot be written: Not a directory; nor a temporary folder: No such file" in found().reason


@needs_native
@needs_compiler
@pytest.mark.parametrize("damage", ["torn", "half", "page", "tail zeroed", "empty", "no digest", "digest is binary"])
def test_a_library_damaged_in_the_cache_is_made_again(anew: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """And not loaded: a library that was cut or zeroed ends the process by SIGBUS or SIGSEGV."""
    path = build.library_path()
    assert found().origin == f"compiled at first use: {path}"
    good, digest = path.read_bytes(), path.with_suffix(".sha256")
    bad = {"torn": b"torn", "half": good[: len(good) // 2], "page": good[:4096], "empty": b""}
    bad["tail zeroed"] = good[: len(good) // 2] + bytes(len(good) - len(good) // 2)
    path.unlink()  # this process has the old one mapped
    path.write_bytes(bad.get(damage, good))
    if damage == "no digest":
        digest.unlink()
    elif damage == "digest is binary":
        digest.write_bytes(b"\xff\xfe")
    loaded: list[bytes] = []
    monkeypatch.setattr(native, "load", lambda path, load=native.load: loaded.append(path.read_bytes()) or load(path))
    assert found().library is not None and loaded == [good]
    monkeypatch.setattr(build, "make", None)  # once it is there, nothing is compiled
    assert found().origin == f"compiled at first use: {path}"


@needs_native
@needs_compiler
def test_what_another_machine_put_into_a_shared_cache_is_made_again(
    anew: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def foreign(command: str, scratch: Path) -> Path:
        (scratch / "copy.so").write_bytes(b"for another C library")
        return scratch / "copy.so"

    monkeypatch.setattr(build, "make", foreign)
    assert "file too short" in found().reason or "invalid ELF" in found().reason
    build._fill(build.library_path(), "cc")
    monkeypatch.setattr(build, "make", copy_of_this_process)
    assert found().library is not None


@needs_native
@needs_compiler
def test_of_many_that_start_at_once_one_compiles(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads stand for processes: each opens the lock file by itself, which is what the lock goes by."""
    compiled: list[str] = []
    together = threading.Barrier(4)

    def make(command: str, scratch: Path) -> Path:
        compiled.append(command)
        return copy_of_this_process(command, scratch)

    def start() -> None:
        together.wait()
        build._fill(build.library_path(), "cc")

    monkeypatch.setattr(build, "make", make)
    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert compiled == ["cc"] and build.whole(build.library_path())


@needs_native
@needs_compiler
def test_a_built_extension_that_cannot_be_loaded_is_told(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extension = anew / "_native.abi3.so"
    extension.write_bytes(b"torn")
    monkeypatch.setattr(native, "_extension", lambda: extension)
    assert found().library is not None
    assert found().origin.startswith("compiled at first use: ")
    assert "the built extension cannot be used" in found().origin
    monkeypatch.setenv("CC", "/nonexistent")
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(anew / "empty"))
    assert "the built extension cannot be used" in found().reason
