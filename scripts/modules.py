"""Writes the index of all modules, each with its first line: `python scripts/modules.py > docs/modules.md`."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).parents[1]
ROOTS = ("nanoconsole", "core/nanocore", "kernels/nanokernels")
INTRODUCTION = """\
# Modules

<!-- Written by `python scripts/modules.py`; edit the first lines of the modules, not this file. -->

Every module by folder, with its own first line. [architecture.md](architecture.md) says how they belong together.
"""


def document() -> str:
    """The whole index in Markdown, a list for each folder."""
    parts = [INTRODUCTION]
    for folder, paths in groupby(_modules(), key=lambda path: path.parent):
        lines = "".join(f"- `{path.name}`: {said}\n" for path in paths if (said := _first_line(path)))
        parts += [f"\n## {folder.relative_to(HERE)}\n\n{lines}"] if lines else []
    return "".join(parts)


def _modules() -> Iterator[Path]:
    for root in ROOTS:
        found = [path for pattern in ("*.py", "*.c", "*.h") for path in (HERE / root).rglob(pattern)]
        yield from sorted(found, key=lambda path: (path.parent, path.name))


def _first_line(path: Path) -> str:
    """The first sentence or line of a module's docstring, or of a C file's comment; "" where it has none."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        said = ast.get_docstring(ast.parse(text)) or ""
    else:
        found = re.match(r"\s*/\*\s*(.*?)\*/", text, re.DOTALL)
        said = re.sub(r"\n\s*\*", "\n", found[1]) if found else ""
    return " ".join(said.split("\n\n")[0].split())


if __name__ == "__main__":
    sys.stdout.write(document())
