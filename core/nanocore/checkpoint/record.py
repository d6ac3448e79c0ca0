"""manifest.json, what a checkpoint says of its own files: written under a hash of itself, and held against the files."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from nanocore.files import read_regular
from nanocore.runs.documents import MAX_BYTES, Flawed, Newer, Unreadable, decode_document, replace_file
from nanocore.seal import ZEROS, json_agrees, seal_json

SCHEMA = 2
SEALED = 2  # from this version on a manifest holds its own hash
MANIFEST, STATE = "manifest.json", "state.json"
_CHUNK = 1 << 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class File(msgspec.Struct, frozen=True):
    """One file of a checkpoint as the manifest knows it."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The part of a manifest that verification needs."""

    schema: int
    files: list[File]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a checkpoint, in one line. "unreadable": the system does not let it be read, so nobody knows;
    "newer": a later version of this program wrote it, and it may be whole."""

    text: str
    kind: Literal["damaged", "unreadable", "newer"] = "damaged"


def write_manifest(folder: Path, facts: dict[str, Any], files: list[File]) -> None:
    """Write and flush the manifest of a folder that holds nothing else. Raises OSError."""
    document = {"schema": SCHEMA, "sha256": ZEROS.decode(), **facts, "files": files}
    raw = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    replace_file(folder / MANIFEST, seal_json(raw), durable=True)


def examine(path: Path, *, hashes: bool = True) -> list[Problem]:
    """What is wrong with a checkpoint; [] when it is whole. `hashes` false looks at sizes only."""
    try:
        manifest = _manifest(path / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return [Problem(f"{MANIFEST} is missing" if path.is_dir() else "there is no such checkpoint")]
    except Newer as flaw:
        return [Problem(f"{MANIFEST} {flaw}", "newer")]
    except Unreadable as flaw:
        return [Problem(f"{MANIFEST} {flaw}", "unreadable")]
    except Flawed as flaw:
        return [Problem(f"{MANIFEST} {flaw}")]
    return [problem for file in manifest.files if (problem := _problem(path, file, hashes)) is not None]


def sha256_of(descriptor: int) -> str:
    """The hash of an open file, from its first byte. Raises OSError."""
    digest, offset = hashlib.sha256(), 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()


def _manifest(path: Path) -> Manifest:
    """Raises Flawed for one that cannot be used, FileNotFoundError and NotADirectoryError where there is none."""
    try:
        raw = read_regular(path, MAX_BYTES, follow=False)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    manifest = decode_document(raw, Manifest, newest=SCHEMA)
    if manifest.schema >= SEALED and not json_agrees(raw):
        raise Flawed("was altered (SHA-256 differs)")
    return manifest


def _problem(path: Path, file: File, hashes: bool) -> Problem | None:
    """What is wrong with one file."""
    if Path(file.name).name != file.name or file.name in ("", "..", MANIFEST):
        return Problem(f"the manifest names a file outside the checkpoint: {file.name}")
    try:
        descriptor = os.open(path / file.name, _OPEN)
    except (FileNotFoundError, NotADirectoryError) as error:
        return Problem(f"{file.name} cannot be read: {error.strerror}")
    except OSError as error:
        return Problem(f"{file.name} cannot be read: {error.strerror}", "unreadable")
    try:
        size = os.fstat(descriptor).st_size
        if size != file.bytes:
            return Problem(f"{file.name} has {size} bytes instead of {file.bytes}")
        if hashes and sha256_of(descriptor) != file.sha256:
            return Problem(f"{file.name} was altered (SHA-256 differs)")
        return None
    except OSError as error:
        return Problem(f"{file.name} cannot be read: {error.strerror}", "unreadable")
    finally:
        os.close(descriptor)
