"""What can be refused before torch is loaded, and what a path that is no model is instead."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nanocore.checkpoint import manifest
from nanocore.checkpoint.record import STATE
from nanocore.errors import UsageError
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line

if TYPE_CHECKING:
    from nanocore.infer.locate import Source

FILES, OWN_FILE = (".gguf", ".mhc"), "nanoconsole.json"
MOST = 3  # of the models in a folder that are named


def without_heads() -> UsageError:
    """The refusal to speculate with a model that cannot."""
    what = "speculation needs prediction heads, which this model was trained without"
    return UsageError(what, fix="generate without speculation")


def refuse_speculation(source: Source) -> None:
    """Raise UsageError where a checkpoint's configuration has no prediction heads. Exported models are asked later."""
    if source.kind != "checkpoint":
        return
    try:
        state = json.loads((source.path / STATE).read_text(encoding="utf-8"))["state"]
        heads = state["config"]["mtp"]["horizon"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return  # loading the checkpoint tells what is wrong with it
    if not heads:
        raise without_heads()


def no_model(path: Path) -> UsageError:
    """Why a file or folder is no model, and which models lie in it or what it is for."""
    if path.suffix == ".mhc" and path.is_file():
        what, fix = "a .mhc file holds stream maps only, no weights", f"look at it: {to_type(f'inspect {path.name}')}"
        return UsageError(what, where=str(path), fix=fix)
    if names := _models_in(path):
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        fix = f"name one that lies in it: {', '.join(map(sanitize_line, names[-MOST:]))}{more}"
        return UsageError("is a folder of models", where=str(path), fix=fix)
    if path.is_dir() and RunFolder(path.parent).run_file.is_file():
        return UsageError("is a folder of a run without models", where=str(path), fix=f"name {path.parent}")
    what = "is neither a run, a checkpoint, a GGUF file nor a Hugging Face folder"
    return UsageError(what, where=str(path), fix=f"see {to_type('runs list')}")


def near_file(path: Path, runs: list[str]) -> str:
    """The file or folder of a model beside `path` whose name is nearer than those of `runs`, as to be typed; or ""."""
    files = [name for name in _models_in(path.parent) if name not in runs]
    near = difflib.get_close_matches(path.name, [*files, *runs], 1)
    if not near or near[0] not in files:
        return ""
    return sanitize_line(str(path.parent / near[0]))


def _models_in(folder: Path) -> list[str]:
    """Names of the exported files and folders and of the checkpoints in a folder."""
    try:
        return sorted(each.name for each in folder.iterdir() if _is_model(each))
    except (OSError, ValueError):  # ValueError: a null character
        return []


def _is_model(path: Path) -> bool:
    inside = (manifest.MANIFEST, OWN_FILE)
    return path.suffix in FILES or any((path / name).is_file() for name in inside)
