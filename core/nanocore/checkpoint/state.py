"""What a run needs to continue exactly, as safetensors and JSON: saved whole or not at all, checked before it is read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nanocore.checkpoint import manifest
from nanocore.checkpoint.record import STATE
from nanocore.errors import DISK_FULL, CheckpointError, ResourceError, remedy
from nanocore.runs.documents import Flawed, check_version
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line

SCHEMA = 1
MODEL, OPTIMIZER, TOKENIZER = "model.safetensors", "optim.safetensors", "tokenizer.json"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: `step` updates were made; tensors lie on the CPU, `state` is the trainer's own JSON."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]
    tokenizer_json: str


def save_checkpoint(
    run: RunFolder,
    step: int,
    *,
    model: dict[str, Tensor],
    optimizer: dict[str, Tensor],
    state: dict[str, Any],
    tokenizer_json: str,
) -> Path:
    """Write and commit the checkpoint of `step`; its folder. ResourceError when it cannot be written."""
    # NaN and Infinity stay as Python writes them: a state comes back exactly as it was.
    document = json.dumps({"schema": SCHEMA, "step": step, "state": state})

    def build(folder: Path) -> None:
        (folder / STATE).write_text(document, encoding="utf-8")
        (folder / TOKENIZER).write_text(tokenizer_json, encoding="utf-8")
        for name, tensors in ((MODEL, model), (OPTIMIZER, optimizer)):
            save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, folder / name)

    target = manifest.step_folder(run.checkpoints_dir, step)
    facts = {"step": step, "torch": str(torch.__version__), "threads": torch.get_num_threads()}
    try:
        manifest.commit(build, target, facts)
    except (OSError, SafetensorError) as error:
        found = _system_error(error)
        room = (
            f"; it needs {_size(model, optimizer):,} bytes in {run.checkpoints_dir}" if found.errno in DISK_FULL else ""
        )
        raise ResourceError(
            f"the checkpoint was not saved: {_reason(error)}{room}; what was saved before is untouched",
            where=target.name,
            fix=remedy(found),
        ) from error
    return target


def load_checkpoint(path: Path, *, with_optimizer: bool = True) -> Checkpoint:
    """Read a checkpoint whose every file matches its manifest. CheckpointError when it is missing or damaged."""
    if problems := manifest.verify(path):
        raise CheckpointError(f"cannot be used: {problems[0]}", where=path.name, fix="choose an earlier checkpoint")
    try:
        document = json.loads((path / STATE).read_text(encoding="utf-8"))
        check_version(document["schema"], SCHEMA)
        optimizer = load_file(path / OPTIMIZER) if with_optimizer else {}
        tokenizer_json = (path / TOKENIZER).read_text(encoding="utf-8")
        return Checkpoint(int(document["step"]), load_file(path / MODEL), optimizer, document["state"], tokenizer_json)
    except Flawed as flaw:
        raise CheckpointError(f"{STATE} {flaw}", where=path.name, fix="choose an earlier checkpoint") from None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"cannot be read: {_reason(error)}", where=path.name, fix="choose an earlier checkpoint"
        ) from error


def _size(*parts: dict[str, Tensor]) -> int:
    """Bytes of the tensors of a checkpoint; the rest of it is small."""
    return sum(tensor.numel() * tensor.element_size() for part in parts for tensor in part.values())


def _system_error(error: Exception) -> OSError:
    """The error itself, or the one that safetensors tells only in its text: "... (os error 28)"."""
    if isinstance(error, OSError):
        return error
    told = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(told.group(1)) if told else 0, str(error))


def _reason(error: Exception) -> str:
    """One safe line of what went wrong, without the path that OSError adds."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return sanitize_line(text.splitlines()[0], 200)
