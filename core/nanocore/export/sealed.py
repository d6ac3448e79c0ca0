"""Hashes of exported files: written with them, compared whenever they are read. No torch, numpy or gguf here.

A GGUF file holds its own, behind its version and first of its keys but the architecture; other programs read past it. A
folder for transformers holds those of its files in nanoconsole.json, which holds its own; the card is not among them, people
edit it. A .mhc file has no place for one: it lies beside, as `sha256sum` writes it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import struct
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO

import msgspec

from nanocore.errors import FormatError
from nanocore.export.hf_names import OWN_FILE
from nanocore.files import read_regular
from nanocore.limits import TOKENIZER_BYTES
from nanocore.runs.text import sanitize_line
from nanocore.seal import ZEROS, json_agrees

SCHEMA_KEY, HASH_KEY = "nanoconsole.schema", "nanoconsole.sha256"
SEALED = 2  # from this version on a file or folder holds its hash
HEAD = 512  # bytes of a GGUF file in which its hash lies
OWN_BYTES = (1 << 20) + TOKENIZER_BYTES
ALTERED, AGAIN = "was altered since it was written (SHA-256 differs)", "fetch or export it again"
UNVERIFIED = "not verified: it holds no hash of itself, so a flipped bit would not be found"
MARK = struct.pack("<Q", len(HASH_KEY)) + HASH_KEY.encode() + struct.pack("<IQ", 8, len(ZEROS))
_BESIDE = re.compile(rb"([0-9a-f]{64})  ([^\n/]{1,255})\n")
_CHUNK = 1 << 20


def check_export(path: Path) -> bool:
    """Whether a file or folder is, by its hashes, as it was exported; False when it holds none. Raises FormatError."""
    if path.is_dir():
        return check_folder(path)
    if path.suffix == ".gguf":
        return check_gguf(path)
    return check_beside(path)


def check_gguf(path: Path) -> bool:
    """As `check_export`, of a GGUF file. One that shows half of a seal is damaged."""
    where = sanitize_line(path.name)
    head = _head(path, where)
    place = head.find(MARK) + len(MARK)
    marks = [SCHEMA_KEY.encode() in head, HASH_KEY.encode() in head]
    if not any(marks):
        return False
    if place < len(MARK) or not all(marks) or hash_of(path, where, hole=place) != _digits(head, place):
        raise FormatError(ALTERED, where=where, fix=AGAIN)
    return True


def seal_gguf(path: Path) -> None:
    """Put the hash into a file that was written with zeros in its place. Raises OSError, FormatError."""
    head = _head(path, path.name)
    place = head.find(MARK) + len(MARK)
    assert place >= len(MARK) and _digits(head, place) == ZEROS.decode()
    with path.open("r+b") as file:
        file.seek(place)
        file.write(hash_of(path, path.name, hole=place).encode())


def _head(path: Path, where: str) -> bytes:
    with _opened(path, where) as file:
        return file.read(HEAD)


def _digits(head: bytes, place: int) -> str:
    return head[place : place + len(ZEROS)].decode("latin-1")


def check_folder(path: Path) -> bool:
    """As `check_export`, of a folder for transformers: nanoconsole.json and every file that it names."""
    label = sanitize_line(path.name)
    if not os.path.lexists(path / OWN_FILE):
        return False
    raw, table = _own(path, f"{label}/{OWN_FILE}")
    if table.get("schema") == 1:
        return False
    hashes = table.get("files")
    if not json_agrees(raw) or not isinstance(hashes, dict):
        raise FormatError(ALTERED, where=f"{label}/{OWN_FILE}", fix=AGAIN)
    for name, known in hashes.items():
        where = f"{label}/{sanitize_line(name, 80)}"
        if name in ("", ".", "..") or "/" in name or hash_of(path / name, where) != known:
            raise FormatError(ALTERED, where=where, fix=AGAIN)
    return True


def check_beside(path: Path) -> bool:
    """As `check_export`, of a file by the hash in NAME.sha256 beside it."""
    where = sanitize_line(path.name)
    try:
        line = read_regular(beside(path), _CHUNK)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", where=f"{where}.sha256") from None
    match, found = _BESIDE.fullmatch(line), hash_of(path, where)
    if match is not None and match.group(2) == os.fsencode(path.name):
        if found != match.group(1).decode():
            raise FormatError(ALTERED, where=where, fix=AGAIN)
        return True
    if match is not None and found == match.group(1).decode():
        what = "agrees with the hash beside it, which names another file"
        raise FormatError(what, where=where, fix=f"make it anew: {_anew(path)}")
    fix = f"{AGAIN}, or make it anew if you trust the file: {_anew(path)}"
    raise FormatError("the .sha256 beside it does not hold its hash", where=where, fix=fix)


def _anew(path: Path) -> str:
    """What to type, in the folder of a file, to write its hash beside it."""
    name = shlex.quote(sanitize_line(path.name))
    return f"sha256sum {name} > {name}.sha256"


def write_beside(path: Path) -> None:
    """Write the hash of a file beside it, as `sha256sum -c` checks it. Raises OSError."""
    line = f"{hash_of(path, path.name)}  ".encode() + os.fsencode(path.name) + b"\n"
    temporary = path.with_name(f".{path.name}.sha256.tmp-{os.getpid()}")
    temporary.write_bytes(line)
    temporary.replace(beside(path))


def beside(path: Path) -> Path:
    """The file with the hash of another."""
    return path.with_name(f"{path.name}.sha256")


def hash_of(path: Path, where: str, *, hole: int | None = None) -> str:
    """SHA-256 of a regular file; from `hole` on 64 bytes of its first `HEAD` count as zeros. Raises FormatError."""
    found = hashlib.sha256()
    with _opened(path, where) as file:
        if hole is not None:
            head = file.read(HEAD)
            found.update(head[:hole] + ZEROS + head[hole + len(ZEROS) :])
        try:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
        except OSError as error:
            raise FormatError(f"cannot be read: {error.strerror}", where=where) from None
    return found.hexdigest()


def _opened(path: Path, where: str) -> BinaryIO:
    """A regular file, open. A pipe is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", where=where) from None
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError("is not a regular file", where=where)
    return os.fdopen(descriptor, "rb")


def _own(path: Path, where: str) -> tuple[bytes, dict[str, Any]]:
    """nanoconsole.json, as bytes and as a table."""
    try:
        raw = read_regular(path / OWN_FILE, OWN_BYTES)
        return raw, msgspec.json.decode(raw, type=dict[str, Any])
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", where=where) from None
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise FormatError("is no JSON table", where=where, fix=AGAIN) from None
