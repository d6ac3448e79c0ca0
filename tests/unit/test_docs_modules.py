"""docs/modules.md names every module, and docs/architecture.md none that is not there."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).parents[2]


def test_the_index_of_modules_is_what_they_say() -> None:
    command = [sys.executable, str(HERE / "scripts" / "modules.py")]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (HERE / "docs" / "modules.md").read_text() == written, "python scripts/modules.py > docs/modules.md"
    assert "- `loop.py`: The training loop, top to bottom." in written


def test_the_architecture_names_modules_that_are_there() -> None:
    text = (HERE / "docs" / "architecture.md").read_text()
    modules = text[text.index("## Modules") : text.index("## The seam")]
    named = set(re.findall(r"`([\w/*]+\.(?:py|c|h|toml))`", modules))
    roots = [HERE / root for root in ("nanoconsole", "core", "kernels")]
    there = [str(path) for root in roots for path in root.rglob("*.*")]
    assert len(named) > 200
    assert not [name for name in named if not any(fnmatch(path, f"*/{name}") for path in there)]
