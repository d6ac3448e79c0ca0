"""Files of a report, each put in place whole."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from nanocore.errors import ResourceError, remedy


def write_whole(path: Path, text: str) -> None:
    """Replace a file by a text. Raises ResourceError when it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", errors="replace")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # it may be the name that cannot be
            temporary.unlink()
        raise ResourceError(f"cannot be written: {error.strerror}", where=str(path), fix=remedy(error)) from None
