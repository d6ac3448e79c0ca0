"""Checkpoints that say with what a model was trained, and hold no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nanocore.checkpoint.manifest import commit
from nanocore.config.schema import Config


def trained(folder: Path, table: dict[str, Any]) -> Path:
    """A checkpoint of a model of that configuration, without weights."""
    return saying(folder, {"state": {"config": Config.model_validate(table).model_dump()}})


def saying(folder: Path, state: object) -> Path:
    def build(temporary: Path) -> None:
        (temporary / "state.json").write_text(json.dumps(state))

    commit(build, folder / "step-00000020", {})
    return folder / "step-00000020"
