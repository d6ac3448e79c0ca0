"""Damaged documents and exports with hashes that agree again, so that damage meets the reader behind the hash."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from nanocore.export.sealed import HEAD, MARK, hash_of
from nanocore.files import is_file
from nanocore.seal import ZEROS, seal_json

SEALED = re.compile(rb'(\{\s*"schema":\s*[0-9]+,\s*"sha256":\s*")[0-9a-f]{64}"')


def reseal_json(raw: bytes) -> bytes:
    """A JSON text with its hash put right where it has one."""
    blank = SEALED.sub(rb"\g<1>" + ZEROS + b'"', raw, count=1)
    return seal_json(blank) if SEALED.match(blank) else raw


def reseal_gguf(path: Path) -> None:
    """A GGUF file with its hash put right where it has one."""
    place = path.read_bytes()[:HEAD].find(MARK) + len(MARK)
    if place >= len(MARK):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(hash_of(path, path.name, hole=place).encode())


def reseal_folder(path: Path) -> None:
    """A folder for transformers with all its hashes put right, as far as they can be."""
    own = path / "nanoconsole.json"
    if not own.is_file():
        return
    try:
        table = json.loads(own.read_bytes())
        files = table["files"].items()
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        own.write_bytes(reseal_json(own.read_bytes()))
        return
    for name, _ in [*files]:
        if (path / name).is_file():
            table["files"][name] = hashlib.sha256((path / name).read_bytes()).hexdigest()
    own.write_bytes(reseal_json(json.dumps(table, indent=2).encode()))


def reseal_checkpoint(path: Path) -> None:
    """A checkpoint whose manifest tells the sizes and hashes that its files have now."""
    manifest = path / "manifest.json"
    try:
        table = json.loads(manifest.read_bytes())
        files = [file for file in table["files"] if is_file(path / file["name"])]
    except (ValueError, TypeError, LookupError, RecursionError):
        return
    for file in files:
        raw = (path / file["name"]).read_bytes()
        file.update(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    manifest.write_bytes(reseal_json(json.dumps(table, indent=1).encode()))
