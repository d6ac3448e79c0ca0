"""`nanocore.train`: a run, trained by a process of its own as from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nanocore.config.overrides import apply
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.errors import NanoError
from nanocore.runs.create import create_run
from nanocore.runs.curve import newest_attempts
from nanocore.runs.layout import RunFolder, run_root
from nanocore.runs.liveness import observe
from nanocore.runs.records import read_all
from nanocore.runs.spawn import spawn_trainer
from nanocore.runs.status import FAILED_STATES
from nanocore.runs.steer import request, wait_until_ended

if TYPE_CHECKING:
    from nanocore.api.model import Model


@dataclass(frozen=True)
class TrainingRun:
    """A run in its folder. It trains on when this Python ends."""

    folder: RunFolder

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def state(self) -> str:
        """`starting`, `running`, `paused`, `finished`, `stopped`, `crashed`, `diverged`, ..."""
        return observe(self.folder).state

    def wait(self) -> TrainingRun:
        """Return when nothing trains it any more. Raises NanoError with the trainer's reason when it failed."""
        wait_until_ended(self.folder)
        state = observe(self.folder)
        if state.state in FAILED_STATES:
            error = NanoError(f"{state.state}: {state.reason}", where=self.name, fix=f"its log: {self.folder.log_file}")
            error.exit_code = (state.status.exit_code if state.status else None) or 1
            raise error
        return self

    def stop(self) -> TrainingRun:
        """Save a checkpoint and end; returns when it has ended. UsageError when nothing trains it."""
        request(self.folder, "stop")
        return self.wait()

    def metrics(self) -> list[dict[str, Any]]:
        """The records of the curve: step, `loss/ce`, `eval/ce` and what else nanocore.runs.metrics names."""
        return newest_attempts(read_all(self.folder.metrics_file))

    def load(self, step: int | Literal["latest", "best"] = "latest", **settings: Any) -> Model:
        """The model of a checkpoint; see `nanocore.load`."""
        from nanocore.api.model import load as load_model

        return load_model(self.path, step, **settings)


def train(
    target: str | PathLike[str] | Config,
    sets: Sequence[str] = (),
    *,
    name: str = "",
    runs: str | PathLike[str] | None = None,
    wait: bool = True,
) -> TrainingRun:
    """Train a preset, a TOML file or a configuration, in a new run that a process of its own works on.

    `sets` changes keys, as "training.steps=200". `name` names the run, else it is numbered; `runs` is the folder of runs,
    else the one that the command line takes. With `wait` this returns when the training has ended, and an interrupt
    ends the waiting alone. Raises ConfigError or UsageError for what cannot be trained, and NanoError when it failed.
    """
    config, preset = _configuration(target, sets)
    folder = create_run(
        run_root(Path(runs) if runs else None), config, preset=preset, name=name, argv=("nanocore.train",)
    )
    spawn_trainer(folder, threads=config.hardware.threads, nice=config.hardware.nice)
    run = TrainingRun(folder)
    return run.wait() if wait else run


def _configuration(target: str | PathLike[str] | Config, sets: Sequence[str]) -> tuple[Config, str]:
    """The configuration, and what its runs are named after."""
    if isinstance(target, Config):
        return build(apply(target.model_dump(mode="json"), list(sets))), "custom"
    return resolve(fspath(target), sets), Path(target).stem
