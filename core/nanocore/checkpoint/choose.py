"""Which checkpoint of a run is meant by a step, `latest` or `best`. Reads manifests and records, no tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nanocore.checkpoint import manifest
from nanocore.checkpoint.lost import lost_place
from nanocore.checkpoint.record import Problem, examine
from nanocore.errors import CheckpointError, UsageError
from nanocore.runs.curve import attempt_of, newest_attempts, usable, value
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.records import Record, Tail

HELD_OUT = "eval/ce"


@dataclass(frozen=True)
class Chosen:
    """A checkpoint that was verified. `passed_over` says which were to come first and cannot be used, "" where none."""

    path: Path
    passed_over: str = ""


def parse_step(text: str) -> int | str:
    """`latest`, `best` or a step from what a user wrote. Raises UsageError for anything else."""
    if text in ("latest", "best"):
        return text
    if not (text.isascii() and text.isdecimal()) or len(text) > 15:
        raise UsageError("is neither a step, latest nor best", where=f"step {text}")
    return int(text)


def choose(run: RunFolder, step: int | str = "latest") -> Chosen:
    """The checkpoint that is meant, verified. Raises CheckpointError when there is none."""
    if step == "latest":
        found = newest(run)
        if found is None:
            raise _without_checkpoint(run)
        return found
    return best(run) if step == "best" else Chosen(_exactly(run, int(step)))


def newest(run: RunFolder) -> Chosen | None:
    """The checkpoint of the highest step that verifies wholly."""
    return _first_good(run, reversed(manifest.folders(run.checkpoints_dir)))


def best(run: RunFolder) -> Chosen:
    """The checkpoint with the lowest held-out loss, of those that exist and were evaluated at their step; or the later.

    Raises CheckpointError when there is none.
    """
    if not manifest.available(run.checkpoints_dir):
        raise _without_checkpoint(run)
    losses = held_out_losses(run)
    measured = [path for path in manifest.folders(run.checkpoints_dir) if manifest.step_of(path) in losses]
    best_first = sorted(measured, key=lambda path: (losses[manifest.step_of(path)], -manifest.step_of(path)))
    if found := _first_good(run, best_first):
        return found
    if measured:
        raise _all_damaged(run, measured)
    fix = "take the latest, or save and evaluate at the same steps (checkpoint.every, evaluation.every)"
    raise CheckpointError("none of its checkpoints has a held-out loss", where=run.name, fix=fix)


def best_steps(run: RunFolder, count: int) -> list[int]:
    """The `count` steps of lowest held-out loss, the best first, of the checkpoints that exist; of equals the later."""
    losses = held_out_losses(run)
    steps = [step for path in manifest.available(run.checkpoints_dir) if (step := manifest.step_of(path)) in losses]
    return sorted(steps, key=lambda step: (losses[step], -step))[:count]


def held_out_losses(run: RunFolder) -> dict[int, float]:
    """Held-out cross-entropy by step, as the curve now stands; a loss that is not finite is none."""
    measured = [(record["step"], value(record, HELD_OUT)) for record in newest_attempts(_evaluations(run))]
    return {step: loss for step, loss in measured if loss is not None and math.isfinite(loss)}


def _evaluations(run: RunFolder) -> list[Record]:
    """The records that decide held-out losses: evaluations, and where each attempt begins. A long run has a million
    others, which are let go as they are read."""
    tail, first, found = Tail(run.metrics_file), dict[int, int](), list[Record]()
    records = tail.read()
    while records or tail.pending:
        for record in filter(usable, records):
            begins = record["step"] < first.get(attempt_of(record), record["step"] + 1)
            if begins:
                first[attempt_of(record)] = record["step"]
            if begins or HELD_OUT in record or "nonfinite" in record:
                found.append(record)
        records = tail.read()
    return found


def _first_good(run: RunFolder, candidates: Iterable[Path]) -> Chosen | None:
    """The first that verifies wholly. One that vanishes meanwhile was removed by a trainer, which is nobody's loss."""
    failed: list[str] = []
    for path in candidates:
        problems = examine(path)
        if not problems:
            more = f" and {len(failed) - 1} more cannot be used" if len(failed) > 1 else ""
            return Chosen(path, f"{run.name}: {failed[0]}{more}; {path.name} is used" if failed else "")
        if path.is_dir():
            failed.append(f"{path.name} {_words(problems[0])}")
    return None


def _words(problem: Problem) -> str:
    return f"{'is damaged' if problem.kind == 'damaged' else 'cannot be used'} ({problem.text})"


def _exactly(run: RunFolder, step: int) -> Path:
    path = manifest.step_folder(run.checkpoints_dir, step)
    if not path.is_dir():
        fix = f"{to_type(f'runs show {run.name}')} lists its checkpoints"
        raise CheckpointError(f"no checkpoint of step {step}", where=run.name, fix=fix)
    if problems := examine(path):
        fix = f"choose another: {to_type(f'checkpoints {run.name}')}"
        raise CheckpointError(f"its checkpoint of step {step} {_words(problems[0])}", where=run.name, fix=fix)
    return path


def _without_checkpoint(run: RunFolder) -> CheckpointError:
    """The refusal of a run without a whole checkpoint: one at work can be asked for one, any other is resumed."""
    if found := manifest.folders(run.checkpoints_dir):
        return _all_damaged(run, found)
    if lost := lost_place(run):
        return lost
    state = observe(run)
    if state.at_work:
        return CheckpointError("has no checkpoint yet", where=run.name, fix=f"ask: {to_type(f'checkpoint {run.name}')}")
    what = f"has no checkpoint, and nothing trains it ({state.text})"
    verb = "start it" if state.state == "created" else "go on with"
    return CheckpointError(what, where=run.name, fix=f"{verb}: {to_type(f'resume {run.name}')}")


def _all_damaged(run: RunFolder, found: list[Path]) -> CheckpointError:
    """The refusal of a run whose checkpoints all fail to verify: which there are, and what is wrong with the last."""
    step, problem = manifest.step_of(found[-1]), next(iter(manifest.verify(found[-1])), "it changes just now")
    others = f", and so are {len(found) - 1} before it" if len(found) > 1 else ""
    what = f"its checkpoint of step {step} is damaged ({problem}){others}"
    again = f"ask for another: {to_type(f'checkpoint {run.name}')}" if observe(run).at_work else "train again"
    return CheckpointError(what, where=run.name, fix=f"put a copy back in {found[-1]}, or {again}")
