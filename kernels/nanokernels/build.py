"""Compile the C sources into the cache, once for each version of them: the second chance without a built extension."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from nanokernels.cache import folder

CSRC = Path(__file__).parent / "csrc"
# No contraction: a fused multiply-add would round differently from one instruction set to the next.
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fPIC", "-fvisibility=default")
SECONDS = 300
ADVICE = "install gcc or clang; the next command then compiles the kernels, a reinstallation builds them in"
log = logging.getLogger(__name__)


class BuildError(Exception):
    """Why nothing was compiled, in one line."""


def sources() -> list[Path]:
    """What is compiled; module.c only makes a Python extension of it."""
    return sorted(path for path in CSRC.glob("*.c") if path.name != "module.c")


@cache
def version() -> str:
    """Changes with every change of the C sources."""
    digest = hashlib.sha256()
    for path in sorted(CSRC.glob("*.[ch]")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def compiler() -> str:
    """The command line of $CC (such as "ccache gcc" or "gcc -m64"), else cc, gcc or clang, with the program's place.

    Raises BuildError.
    """
    chosen = os.environ.get("CC", "").strip()
    for command in [chosen] if chosen else ["cc", "gcc", "clang"]:
        try:
            program, *arguments = shlex.split(command)
        except ValueError as error:
            raise BuildError(f"CC is {chosen}, which cannot be read: {error}") from None
        if found := shutil.which(program):
            return shlex.join([found, *arguments])
    raise BuildError(f"no C compiler: {f'CC is {chosen}, which is not there' if chosen else ADVICE}")


def library_path() -> Path:
    """Where this version's shared object lies in the cache, whether or not it does and whatever would compile it."""
    key = hashlib.sha256("\0".join([version(), platform.machine(), *FLAGS]).encode()).hexdigest()[:16]
    return folder("native") / key / "nanokernels.so"


@contextmanager
def compiled() -> Iterator[Path]:
    """The shared object, for as long as it takes to load it. One that is not whole in the cache is compiled now.

    Where the cache cannot be written it is compiled for this process alone. Both say so in the log. Raises BuildError.
    """
    target = library_path()
    with ExitStack() as stack:
        if not whole(target):
            command = compiler()
            try:
                _fill(target, command)
            except OSError as error:
                reason = f"the cache folder {target.parent} cannot be written: {error.strerror}"
                log.warning("compiling the native kernels with %s for this process alone: %s", command, reason)
                target = make(command, _scratch(stack, reason))
        yield target


def whole(target: Path) -> bool:
    """Whether the file is, to the byte, what was compiled: loading another can end the process by a signal."""
    try:
        return _digest(target).read_text() == hashlib.sha256(target.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return False


def discard(target: Path) -> None:
    """Take a file out of the cache that cannot be loaded here."""
    with suppress(OSError):  # the cache may be read-only; what is compiled next is then for one process
        _digest(target).unlink(missing_ok=True)


def _digest(target: Path) -> Path:
    return target.with_suffix(".sha256")


def _fill(target: Path, command: str) -> None:
    """Compile into the cache, unless another process has while this one waited. Raises OSError and BuildError."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (target.parent / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if whole(target):
            return
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            log.warning("compiling the native kernels with %s: once, some seconds; later commands find them", command)
            made = make(command, Path(scratch))
            digest = Path(scratch) / "digest"
            digest.write_text(hashlib.sha256(made.read_bytes()).hexdigest())
            for file, place in ((made, target), (digest, _digest(target))):
                _to_disk(file)
                file.replace(place)


def _to_disk(file: Path) -> None:
    """So that a power cut after the renaming cannot leave an empty file under the name."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _scratch(stack: ExitStack, reason: str) -> Path:
    try:
        return Path(stack.enter_context(tempfile.TemporaryDirectory()))
    except OSError as error:
        raise BuildError(f"{reason}; nor a temporary folder: {error.strerror}") from None


def make(command: str, scratch: Path) -> Path:
    """Compile all sources side by side and link them in `scratch`. Raises BuildError with the first complaint."""
    program = shlex.split(command)
    objects = {path: scratch / f"{path.stem}.o" for path in sources()}
    commands = [[*program, *FLAGS, "-c", str(path), "-o", str(made)] for path, made in objects.items()]
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as compilers:
        list(compilers.map(_run, commands))
    target = scratch / "nanokernels.so"
    _run([*program, "-shared", "-o", str(target), *map(str, objects.values()), "-lpthread", "-lm"])
    return target


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BuildError(f"{command[0]} took more than {SECONDS} s") from None
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run: {error.strerror}; {ADVICE}") from None
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        raise BuildError(f"{command[0]} failed: {complaints[0].strip() if complaints else 'no message'}")
