"""Which options of an export mean something for which of its formats: for Python and for the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nanocore.errors import UsageError

GGUF = ("gguf",)
MEANS = {  # an option, and for which `to`
    "scheme": GGUF,
    "scale_mode": GGUF,
    "head": GGUF,
    "architecture": GGUF,
    "form": ("hf",),
    "license": ("gguf", "hf"),
}


def meant(options: Mapping[str, Any], to: str, *, spelt: Callable[[str], str] = str) -> dict[str, Any]:
    """The options that were given; None is not. Raises UsageError for one that means nothing for `to`.

    `spelt` writes an option's name as the caller does.
    """
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if to not in MEANS[key]:
            fix = f"leave it out, or use {spelt('to')} {' or '.join(MEANS[key])}"
            raise UsageError(f"means nothing for {spelt('to')} {to}", where=spelt(key), fix=fix)
    return given
