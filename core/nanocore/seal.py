"""A hash inside the very file that it is of, so that no flipped bit passes: 64 digits that count as zeros in the sum.

A file whose name or place changes keeps it, and programs that know nothing of it read past it. It finds damage, not
forgery: who can write the file can write the hash.
"""

from __future__ import annotations

import hashlib
import re

ZEROS = b"0" * 64
# Second in the document, behind its version: a bit that hides the hash is then found by the version, which asks for it.
_IN_JSON = re.compile(rb'\{\s*"schema":\s*[0-9]+,\s*"sha256":\s*"([0-9a-f]{64})"')


def digest(data: bytes | memoryview, place: int) -> str:
    """SHA-256 of `data` as if the 64 bytes from `place` on were zeros, in 64 hexadecimal digits."""
    view = memoryview(data)
    found = hashlib.sha256(view[:place])
    found.update(ZEROS)
    found.update(view[place + len(ZEROS) :])
    return found.hexdigest()


def seal_json(raw: bytes) -> bytes:
    """A JSON table that begins with its `schema` and a `sha256` of zeros, with the hash of the whole text put there."""
    match = _IN_JSON.match(raw)
    assert match is not None and match.group(1) == ZEROS
    place = match.start(1)
    return raw[:place] + digest(raw, place).encode() + raw[place + len(ZEROS) :]


def json_agrees(raw: bytes) -> bool:
    """Whether a JSON text holds its hash at the place where `seal_json` puts it, and the hash is that of the text."""
    match = _IN_JSON.match(raw)
    return match is not None and digest(raw, match.start(1)) == match.group(1).decode()
