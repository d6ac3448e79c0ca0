"""The C library through ctypes: found as a built extension, else compiled at first use, else absent with a reason.

NANOKERNELS_NATIVE=0 leaves it out. ctypes lets go of the interpreter's lock during a call.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_ssize_t, c_void_p
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nanokernels import build

log = logging.getLogger(__name__)
VERSION = 4  # NK_VERSION of csrc/nanokernels.h
LAYOUTS = {"t2": 2, "t5": 5}


class Matrix(ctypes.Structure):
    """nk_matrix."""

    _fields_ = [
        ("data", c_void_p),
        ("scale", c_void_p),
        ("rows", c_int32),
        ("columns", c_int32),
        ("groups", c_int32),
        ("layout", c_int32),
    ]


class Tokens(ctypes.Structure):
    """nk_tokens."""

    _fields_ = [
        ("codes", c_void_p),
        ("scales", c_void_p),
        ("sums", c_void_p),
        ("tokens", c_int32),
        ("columns", c_int32),
        ("groups", c_int32),
        ("stride", c_int32),
    ]


class Piece(ctypes.Structure):
    """nk_piece."""

    _fields_ = [("from", c_void_p), ("to", c_void_p), ("block_bytes", c_int64), ("bytes", c_int64)]


class Isa(ctypes.Structure):
    """nk_isa."""

    _fields_ = [
        ("name", c_char_p),
        ("quantise", ctypes.CFUNCTYPE(None, c_void_p, c_ssize_t, POINTER(Tokens))),
        ("multiply", c_void_p),
        ("int_sums", c_void_p),
    ]


_SIGNATURES = {
    "nk_version": (c_int, []),
    "nk_find": (POINTER(Isa), [c_char_p]),
    "nk_active": (POINTER(Isa), []),
    "nk_use": (c_int, [c_char_p]),
    "nk_sum_codes": (None, [POINTER(Tokens)]),
    "nk_multiply_all": (None, [POINTER(Isa), c_void_p, POINTER(Matrix), POINTER(Tokens), c_void_p, c_ssize_t]),
    "nk_int_sums_all": (None, [POINTER(Isa), c_void_p, POINTER(Matrix), POINTER(Tokens), c_void_p]),
    "nk_place": (None, [c_void_p, POINTER(Piece), c_int32]),
    "nk_pool_new": (c_void_p, [c_int]),
    "nk_pool_free": (None, [c_void_p]),
}


class Found(NamedTuple):
    """The library and where it came from, or why there is none."""

    library: ctypes.CDLL | None
    origin: str
    reason: str


@cache
def find() -> Found:
    """Look for the library, once for each process."""
    wish = os.environ.get("NANOKERNELS_NATIVE", "")
    if wish not in ("", "0", "1"):
        log.warning("NANOKERNELS_NATIVE is %.40r, and only 0 means something: the native kernels are used", wish)
    if wish == "0":
        return Found(None, "", "switched off by NANOKERNELS_NATIVE=0")
    extension, broken = _extension(), ""
    if extension:
        try:
            return Found(load(extension), f"extension {extension}", "")
        except (OSError, AttributeError) as error:  # built for another machine, or from other sources
            broken = f", since the built extension cannot be used: {error}"
    try:
        library, origin, reason = _compiled()
        return Found(library, origin + broken, reason)
    except (build.BuildError, OSError, AttributeError) as error:
        return Found(None, "", f"{error}{broken}")


def _compiled() -> Found:
    """From the cache; what cannot be loaded from there (made for another machine that shares it) is made again."""
    with build.compiled() as path:
        try:
            return Found(load(path), _origin(path), "")
        except OSError:
            build.discard(path)
    with build.compiled() as path:
        return Found(load(path), _origin(path), "")


def _origin(path: Path) -> str:
    if path == build.library_path():
        return f"compiled at first use: {path}"
    return f"compiled for this process alone: the cache folder {build.library_path().parent} cannot be written"


def _extension() -> Path | None:
    """The extension of this installation, unless it is older than the sources it stands among."""
    spec = importlib.util.find_spec("nanokernels._native")
    if spec is None or not spec.origin:
        return None
    path = Path(spec.origin)
    in_source_tree = (build.CSRC.parents[2] / "pyproject.toml").is_file()
    if in_source_tree and any(source.stat().st_mtime > path.stat().st_mtime for source in build.CSRC.iterdir()):
        return None
    return path


def load(path: Path) -> ctypes.CDLL:
    """Open a library and declare its functions. Raises OSError, or AttributeError for another version's."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    if library.nk_version() != VERSION:
        raise AttributeError(f"{path} is version {library.nk_version()}, {VERSION} is needed")
    return library
