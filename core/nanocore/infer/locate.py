"""What a user names: a run, one of its checkpoints, or a file. Nothing is loaded here, and no torch imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nanocore.checkpoint import manifest
from nanocore.checkpoint.choose import choose
from nanocore.errors import CheckpointError, UsageError
from nanocore.infer.refusals import near_file, no_model
from nanocore.runs.layout import RunFolder, find_run, list_runs, valid_name

GGUF_MAGIC, HF_CONFIG = b"GGUF", "config.json"


@dataclass(frozen=True)
class Source:
    """A model on disk: a checkpoint folder, a GGUF file or a folder for transformers; `label` names it in messages.

    `passed_over` says which checkpoints of the run were to come first and cannot be used; who locates tells it.
    """

    kind: Literal["checkpoint", "gguf", "hf"]
    path: Path
    label: str
    passed_over: str = ""


def named(text: str, root: Path) -> Path:
    """The folder or file that `text` means: a path where it is written as one (a slash, .gguf), else a run in `root`.

    A file that bears no run's name may be written without a slash. Raises UsageError when there is nothing.
    """
    if not text:
        raise UsageError("the name is empty", fix="name a run, or a file or folder that holds a model")
    path = Path(text).expanduser()
    if "/" in text or text.endswith(".gguf"):
        return _existing(path)
    if valid_name(text) and any(run.name == text for run in list_runs(root)):
        return RunFolder(root / text).path
    try:
        return _existing(path)
    except UsageError:
        if near := near_file(path, [run.name for run in list_runs(root)]):
            raise UsageError(f"no run and no file is named {text!r}", fix=f"did you mean {near}?") from None
        return find_run(root, text).path


def locate(path: Path, step: int | str = "latest") -> Source:
    """The model at a path: a run's checkpoint chosen by `step`, a checkpoint folder, or what was exported.

    Raises UsageError for anything else, CheckpointError for a checkpoint that is missing or damaged.
    """
    path = _existing(path)
    run = RunFolder(path)
    if run.run_file.is_file():
        chosen = choose(run, step)
        return Source("checkpoint", chosen.path, f"{run.name} {chosen.path.name}", chosen.passed_over)
    if step != "latest":
        raise UsageError("only a run has steps to choose from", where=str(path), fix="leave out --step")
    if (path / manifest.MANIFEST).is_file():
        if problems := manifest.verify(path):
            raise CheckpointError(problems[0], where=str(path), fix="choose another checkpoint")
        return Source("checkpoint", path, path.name)
    refuse_empty(path)
    if path.is_file() and _begins_with(path, GGUF_MAGIC):
        return Source("gguf", path, path.name)
    if (path / HF_CONFIG).is_file():
        return Source("hf", path, path.name)
    raise no_model(path)


def refuse_empty(path: Path) -> None:
    """Raise UsageError for a file without a byte: a copy or a download that never began."""
    if path.is_file() and not path.stat().st_size:
        raise UsageError("is empty", where=str(path), fix="fetch or write it again")


def _existing(path: Path) -> Path:
    try:
        path.lstat()
        return path.absolute()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no path"
        near = near_file(path, [])
        raise UsageError(f"cannot be read: {reason}", where=str(path), fix=near and f"did you mean {near}?") from None


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
