"""Values as TOML text."""

from __future__ import annotations

import json
from typing import Any

from nanocore.config.sections import Source

# Keys of a source that only some kinds read.
READ_BY = {
    "paths": ("files", "jsonl", "parquet"),
    "column": ("jsonl", "parquet"),
    "documents": ("synthetic",),
    "seed": ("synthetic",),
}


def literal(value: object) -> str:
    """A TOML value on one line. JSON strings are TOML strings; floats keep all their digits."""
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {literal(entry)}' for key, entry in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def plain(value: object) -> Any:
    """A value of a configuration as plain TOML data; a source keeps only the keys that its kind reads."""
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, Source):
        table = value.model_dump()
        return {key: entry for key, entry in table.items() if value.kind in READ_BY.get(key, (value.kind,))}
    return value
