"""The folder for what can be made again: compiled kernels and measured choices."""

from __future__ import annotations

import os
from pathlib import Path


def folder(name: str) -> Path:
    """$NANOCONSOLE_CACHE/<name>, else <name> in the user's cache folder; it need not exist."""
    chosen = os.environ.get("NANOCONSOLE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute() / name
    from platformdirs import user_cache_path

    return user_cache_path("nanoconsole") / name
