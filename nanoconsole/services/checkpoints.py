"""The checkpoints of a run as a list: how old, how large, whole or damaged, how good; and which may be deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nanocore.checkpoint import manifest
from nanocore.checkpoint.choose import held_out_losses
from nanocore.errors import CheckpointError, ResourceError, UsageError, remedy
from nanocore.runs.forks import waiting_forks
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.resting import resting
from nanocore.runs.text import sanitize_line

State = Literal["unread", "verified", "damaged"]
AT_WORK = "its trainer is at work, and keeps what checkpoint.keep_last, keep_every and keep_best say"


@dataclass(frozen=True)
class Saved:
    """One checkpoint. `created` is Unix time, `held_out` the loss at its step in nats, None when it was not evaluated.

    "unread": all files have their sizes, their hashes were not looked at yet. `problem` says what is damaged. `best` has
    the lowest held-out loss of those that are whole, `newest` is what the run goes on from.
    """

    step: int
    path: Path
    created: float
    bytes: int
    state: State
    problem: str = ""
    held_out: float | None = None
    best: bool = False
    newest: bool = False

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "path": str(self.path)}


def read(run: RunFolder) -> tuple[Saved, ...]:
    """The checkpoints of a run by the sizes of their files, the newest first."""
    losses = held_out_losses(run)
    found = [_saved(path, losses) for path in manifest.folders(run.checkpoints_dir)]
    return marked(tuple(reversed(found)))


def verified(found: tuple[Saved, ...], go_on: Callable[[], bool] = lambda: True) -> Iterator[tuple[Saved, ...]]:
    """The list after the hashes of each of its checkpoints were read, the newest first, while `go_on`."""
    for place, saved in enumerate(found):
        if not go_on():
            return
        if saved.state == "unread":
            problems = manifest.verify(saved.path)
            state: State = "damaged" if problems else "verified"
            problem = sanitize_line(problems[0], 200) if problems else ""
            found = marked((*found[:place], replace(saved, state=state, problem=problem), *found[place + 1 :]))
            yield found


def marked(found: tuple[Saved, ...]) -> tuple[Saved, ...]:
    """The same with the best and the newest of the whole ones named."""
    whole = [saved for saved in found if saved.state != "damaged"]
    measured = [saved for saved in whole if saved.held_out is not None]
    best = min(measured, key=lambda saved: (saved.held_out or 0.0, -saved.step), default=None)
    newest = max(whole, key=lambda saved: saved.step, default=None)
    return tuple(
        replace(
            saved,
            best=best is not None and saved.step == best.step,
            newest=newest is not None and saved.step == newest.step,
        )
        for saved in found
    )


def refusal(root: Path, run: RunFolder, step: int) -> str:
    """Why the checkpoint of a step must stay, "" when it may be deleted. Reads the hashes of others."""
    return AT_WORK if observe(run).at_work else _needed(root, run, step)


def _needed(root: Path, run: RunFolder, step: int) -> str:
    """The same of a run that nobody works on."""
    path = manifest.step_folder(run.checkpoints_dir, step)
    if not manifest.verify(path) and not _another(run, path):
        return "it is the only good checkpoint of the run"
    forks = [name for name, start in waiting_forks(root, run).items() if start == step]
    return f"{forks[0]} begins with it and has none of its own yet" if forks else ""


def delete(root: Path, run: RunFolder, step: int) -> None:
    """Delete a checkpoint. Raises CheckpointError when there is none, UsageError when it must stay, BusyError while another
    process has the run, ResourceError.

    The run's lock is held from the question whether another one is good to the end: of two that delete at once the second
    sees what the first has left.
    """
    path = manifest.step_folder(run.checkpoints_dir, step)
    if path not in manifest.folders(run.checkpoints_dir):
        raise CheckpointError(f"no checkpoint of step {step}", where=run.name)
    if observe(run).at_work:
        raise UsageError(f"step {step} stays: {AT_WORK}", where=run.name)
    with resting(run, "delete"):
        if reason := _needed(root, run, step):
            raise UsageError(f"step {step} stays: {reason}", where=run.name)
        try:
            manifest.remove(path)
        except OSError as error:
            raise ResourceError(f"cannot be deleted: {error.strerror}", where=str(path), fix=remedy(error)) from None


def _another(run: RunFolder, path: Path) -> bool:
    """Whether a run has a whole checkpoint besides this one."""
    return any(not manifest.verify(other) for other in manifest.available(run.checkpoints_dir) if other != path)


def _saved(path: Path, losses: dict[int, float]) -> Saved:
    problems, step = manifest.verify(path, hashes=False), manifest.step_of(path)
    problem = sanitize_line(problems[0], 200) if problems else ""
    try:
        created = path.stat().st_mtime
    except OSError:
        created = 0.0
    state: State = "damaged" if problems else "unread"
    return Saved(step, path, created, _bytes(path), state, problem, losses.get(step))


def _bytes(path: Path) -> int:
    """Bytes of the files of a folder; 0 where it cannot be read."""
    try:
        return sum(file.lstat().st_size for file in path.iterdir())
    except OSError:
        return 0
