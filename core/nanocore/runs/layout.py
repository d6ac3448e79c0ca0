"""Every path of a run folder and of the folders around it. Nobody else builds such a path."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from nanocore.errors import UsageError
from nanocore.runs.hints import to_type
from nanocore.runs.text import sanitize_line

NAME_RULE = "1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit, without '..'"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; the properties name everything in it, whether it exists yet or not."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config_file(self) -> Path:
        return self.path / "config.toml"

    @property
    def next_config_file(self) -> Path:
        """The configuration that a resume asks for, until its trainer has accepted it; see `runs.staging`."""
        return self.path / "config.next.toml"

    @property
    def run_file(self) -> Path:
        return self.path / "run.json"

    @property
    def status_file(self) -> Path:
        return self.path / "status.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def layers_file(self) -> Path:
        return self.path / "layers.jsonl"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log_file(self) -> Path:
        return self.path / "stdout.log"

    @property
    def notes_file(self) -> Path:
        return self.path / "notes.toml"

    @property
    def tokenizer_file(self) -> Path:
        """The vocabulary that a forked run took over from its parent."""
        return self.path / "tokenizer.json"

    @property
    def lock_file(self) -> Path:
        return self.path / "LOCK"

    @property
    def control_dir(self) -> Path:
        return self.path / "control"

    @property
    def tensorboard_dir(self) -> Path:
        return self.path / "tensorboard"

    @property
    def checkpoints_dir(self) -> Path:
        return self.path / "checkpoints"

    @property
    def samples_dir(self) -> Path:
        return self.path / "samples"

    @property
    def exports_dir(self) -> Path:
        return self.path / "exports"

    @property
    def directories(self) -> tuple[Path, ...]:
        """The folders made together with the run."""
        return (self.control_dir, self.tensorboard_dir, self.checkpoints_dir, self.samples_dir, self.exports_dir)

    def sample_file(self, step: int) -> Path:
        """The text sample taken at `step`."""
        return self.samples_dir / f"step-{step:08d}.txt"


def valid_name(name: str) -> bool:
    """Whether `name` may name a run or a preset: safe as a path component, in a shell and on a screen."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def check_name(name: str) -> str:
    """`name` itself. Raises UsageError when it cannot name a run."""
    if not valid_name(name):
        raise UsageError(f"{sanitize_line(name, 80)!r} cannot name a run", fix=f"use {NAME_RULE}")
    return name


def run_root(option: Path | None = None) -> Path:
    """The folder of all runs: `--runs`, else $NANOCONSOLE_RUNS, else ./runs if it exists, else the user's data folder."""
    chosen = option or os.environ.get("NANOCONSOLE_RUNS")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if (here := root_here()) is not None:
        return here
    from platformdirs import user_data_path  # needed by few commands, and slow to import for what it does

    return user_data_path("nanoconsole") / "runs"


def root_here() -> Path | None:
    """./runs, where that is the folder of all runs without being named: from elsewhere it is not."""
    return Path("runs").absolute() if not os.environ.get("NANOCONSOLE_RUNS") and Path("runs").is_dir() else None


def cache_root() -> Path:
    """Where prepared data and compiled kernels are kept: $NANOCONSOLE_CACHE, else the user's cache folder."""
    chosen = os.environ.get("NANOCONSOLE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("nanoconsole")


def run_lists() -> Path:
    """Where consoles keep what they read of ended runs, a file for each root; it can be rebuilt."""
    return cache_root() / "run-lists"


def private(root: Path) -> Path:
    """The console's own folder beside the runs: queue, trash, caches that can be rebuilt."""
    return root / ".nanoconsole"


def queue_dir(root: Path) -> Path:
    """The folder of the queue of runs, which its supervisor holds as a trainer holds its run."""
    return private(root) / "queue"


def alerts_file(root: Path) -> Path:
    """Records of the alerts that consoles raised on the runs of `root`."""
    return private(root) / "alerts.jsonl"


def alerts_lock(root: Path) -> Path:
    """Locked by the one console that raises alerts on the runs of `root`."""
    return private(root) / "alerts.lock"


def list_runs(root: Path) -> list[RunFolder]:
    """All runs under `root`, by name; [] when it does not exist. Raises UsageError when it cannot be read."""
    return [run for run in folders_in(root) if run.run_file.is_file()]


def folders_in(root: Path) -> list[RunFolder]:
    """All folders under `root` that have the name of a run, by name, as `list_runs`. A symbolic link is none."""
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if valid_name(entry.name) and entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=str(root), fix="choose another folder with --runs"
        ) from None
    return [RunFolder(root / name) for name in sorted(names)]


def find_run(root: Path, name: str) -> RunFolder:
    """The run called `name`. Raises UsageError naming the nearest run when there is none."""
    run = RunFolder(root / check_name(name))
    if run.path.is_symlink():
        raise UsageError(
            f"run {name!r} is a symbolic link", where=str(root), fix="give its target's folder with --runs"
        )
    if run.run_file.is_file():
        return run
    if run.path.is_dir():
        what = f"no run named {name!r}: its folder holds no run.json that is a regular file"
        raise UsageError(what, where=str(root), fix="put a copy of run.json back, or move the folder away")
    names = [each.name for each in list_runs(root)]
    near = difflib.get_close_matches(name, names, n=1)
    fix = f"did you mean {near[0]}?" if near else f"see {to_type('runs list')}"
    raise UsageError(f"no run named {name!r}", where=str(root), fix=fix)
