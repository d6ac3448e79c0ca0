"""Compile the C sources into the cache, once for each version of them: the second chance without a built extension."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
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
    """$CC, else the first of cc, gcc and clang that is there. Raises BuildError."""
    chosen = os.environ.get("CC")
    found = [path for name in ([chosen] if chosen else ["cc", "gcc", "clang"]) if (path := shutil.which(name))]
    if not found:
        raise BuildError(f"no C compiler: {f'CC is {chosen}, which is not there' if chosen else ADVICE}")
    return found[0]


def library_path() -> Path:
    """Where this version's shared object lies in the cache, whether or not it does and whatever would compile it."""
    key = hashlib.sha256("\0".join([version(), platform.machine(), *FLAGS]).encode()).hexdigest()[:16]
    return folder("native") / key / "nanokernels.so"


def compiled() -> Path:
    """The shared object; one that is not in the cache is compiled now, with a line in the log. Raises BuildError."""
    target = library_path()
    if not target.is_file():
        program = compiler()
        log.warning("compiling the native kernels with %s: once, some seconds; later commands find them", program)
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                make(program, Path(scratch)).replace(target)
        except OSError as error:
            raise BuildError(f"the cache folder {target.parent}: {error.strerror}") from None
    return target


def make(program: str, scratch: Path, *flags: str) -> Path:
    """Compile all sources side by side and link them in `scratch`. Raises BuildError with the first complaint."""
    objects = {path: scratch / f"{path.stem}.o" for path in sources()}
    commands = [[program, *FLAGS, *flags, "-c", str(path), "-o", str(made)] for path, made in objects.items()]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as compilers:
        list(compilers.map(_run, commands))
    target = scratch / "nanokernels.so"
    _run([program, "-shared", "-o", str(target), *map(str, objects.values()), "-lpthread", "-lm"])
    return target


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BuildError(f"{command[0]} took more than {SECONDS} s") from None
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        raise BuildError(f"{command[0]} failed: {complaints[0].strip() if complaints else 'no message'}")
