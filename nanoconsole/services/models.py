"""Models that can be talked with: checkpoints of runs and what was exported, how they are named and chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nanoconsole.services.listed import Listed
from nanoconsole.services.targets import Target
from nanocore.checkpoint.choose import parse_step
from nanocore.checkpoint.manifest import available, step_of
from nanocore.errors import UsageError
from nanocore.infer.locate import HF_CONFIG, named
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line

NONE = Target("", "none", "one model alone")
MOST = 400  # models that are listed


@dataclass(frozen=True)
class Model:
    """A model on disk: a run's folder with `step` (a number, "latest" or "best"), or a file or folder with "latest"."""

    path: Path
    step: int | str = "latest"

    @property
    def label(self) -> str:
        """`tiny-cpu-0003@latest`, or a file's name."""
        name = sanitize_line(self.path.name, 80)
        return f"{name}@{self.step}" if RunFolder(self.path).run_file.is_file() else name

    def request(self) -> dict[str, str | int]:
        """The part of a worker's request that names it."""
        return {"source": str(self.path.absolute()), "step": self.step}


def model_of(text: str, root: Path) -> Model:
    """The model that RUN, RUN@STEP or a path means. Raises UsageError when there is none."""
    if not text.strip():
        raise UsageError("no model is named")
    name, _, step = text.strip().rpartition("@")
    if name and (step in ("latest", "best") or step.isdecimal()):
        return Model(named(name, root), parse_step(step))
    return Model(named(text.strip(), root))


def choices(runs: Iterable[Listed]) -> list[Target]:
    """Every checkpoint of every run, its newest first, and its exports: GGUF files and folders for transformers."""
    found: list[Target] = []
    for listed in runs:
        folder = listed.run
        steps = sorted((step_of(path) for path in available(folder.checkpoints_dir)), reverse=True)
        for place, step in enumerate(steps):
            detail = f"step {step:,}{', the newest' if not place else ''}  {listed.state}"
            found.append(Target(f"{folder.path}@{'latest' if not place else step}", listed.label, detail))
        if len(steps) > 1:
            found.append(Target(f"{folder.path}@best", listed.label, "best held-out loss"))
        found += _exported(folder, listed.label)
        if len(found) >= MOST:
            break
    return found[:MOST]


def _exported(run: RunFolder, label: str) -> list[Target]:
    try:
        paths = sorted(run.exports_dir.iterdir())
    except OSError:
        return []
    kinds = [(path, _kind(path)) for path in paths]
    return [Target(str(path), sanitize_line(path.name), f"{kind} of {label}") for path, kind in kinds if kind]


def _kind(path: Path) -> str:
    """What an export is, in words; "" for what cannot be talked with."""
    if path.is_dir():
        return "folder for transformers" if (path / HF_CONFIG).is_file() else ""
    return "GGUF" if path.suffix == ".gguf" else ""
