"""safetensors files, read strictly: the library finds damage, this what it lets pass."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nanocore.errors import FormatError
from nanocore.runs.text import sanitize_line

MOST_HEADER = 32 << 20


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors by name. Raises FormatError for a file that is damaged, or names a tensor twice."""
    where = sanitize_line(path.name)
    try:
        if not path.is_file():
            raise FormatError("is not a regular file", where=where)
        with path.open("rb") as file:
            size = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))[0]
            if size > min(MOST_HEADER, path.stat().st_size):
                raise FormatError("claims a header longer than the file, or than any has", where=where)
            json.loads(file.read(size), object_pairs_hook=_once)
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        reason = sanitize_line(str(error).splitlines()[0] if str(error) else type(error).__name__, 200)
        raise FormatError(f"is no sound safetensors file ({reason})", where=where) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in its header twice")
    return found
