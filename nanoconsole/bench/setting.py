"""What the measurements of the console share: invented runs, the console over them, and what it noted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nanoconsole.bench.terminal import Terminal
from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.identity import Identity
from nanocore.runs.layout import RunFolder
from nanocore.runs.status import Status

PROBE, CONSOLE = ("-P", "-m", "nanoconsole.bench.probe"), ("-P", "-m", "nanoconsole")
LISTED, OPENED = "finished", "gradient norm"  # painted with the row of a run, and with the charts of Live; in no path
NARROW = ("loss/ce", "training/grad_norm", "throughput/tokens_per_sec", "mhc/stream_cosine")  # a metric a chart
WIDE = (*NARROW, *(f"time/part{index}" for index in range(28)))  # as many as a trainer writes


@dataclass(frozen=True)
class Scale:
    """How much is measured: rounds of what is repeated, records of the longest run, seconds of each measurement of processor
    time, records of the replayed hour (one a second, a hundred times as fast), and runs in a list of very many."""

    rounds: int
    records: int
    seconds: float
    hour: int
    many: int


@dataclass(frozen=True)
class Bench:
    """What the measurements share: a folder, and how much is measured."""

    folder: Path
    scale: Scale

    def console(self, root: Path, *, noted: bool = False, hertz: float = 1.0) -> Terminal:
        """The console over a root, looking that often; `noted` with a clock beside it."""
        self.told.unlink(missing_ok=True)
        if noted:
            words = [*PROBE, "noted", str(root), str(self.told)]
        else:
            words = [*CONSOLE, "--runs", str(root)]
        config = self.folder / "config" / "nanoconsole"
        config.mkdir(parents=True, exist_ok=True)
        (config / "settings.toml").write_text(f"refresh_hz = {hertz}\n")
        environment = {"XDG_CONFIG_HOME": str(config.parent), "OMP_NUM_THREADS": "1", **self.environment}
        return Terminal(words, environment)

    def empty(self) -> Terminal:
        """The small app it is compared with."""
        return Terminal([*PROBE, "empty"], self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """One in which every module is compiled once, as where the console is installed, with a cache of its own."""
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self.folder / "compiled")}
        return {**compiled, "NANOCONSOLE_CACHE": str(self.cache)}

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def told(self) -> Path:
        return self.folder / "notes.jsonl"

    def notes(self) -> list[dict[str, Any]]:
        """What a console with a clock noted so far."""
        return [json.loads(line) for line in self.told.read_text().splitlines()] if self.told.exists() else []

    def run(self, name: str, records: int, *, wide: bool = False) -> RunFolder:
        """A run with that many records of a few metrics, or of as many as a trainer writes."""
        root = self.folder / name
        if (root / name).exists():
            return RunFolder(root / name)
        run = create_run(root, Config(), name=name)
        write_document(run.status_file, finished(records))
        names = WIDE if wide else NARROW
        with run.metrics_file.open("w") as file:
            file.writelines(line(step, names) for step in range(1, records + 1))
        return run


def open_live(terminal: Terminal) -> None:
    """Press Enter at once when the run's row stands there, and wait for its charts. Raises NanoError."""
    terminal.until(LISTED)
    terminal.press("\r")
    terminal.until(OPENED)


def finished(records: int) -> Status:
    """The status of a run that trained that many steps and ended, by this process."""
    me = Identity.mine()
    status = Status(state="finished", phase="", step=records, steps=records)
    return msgspec.structs.replace(status, pid=me.pid, start_ticks=me.start_ticks, boot_id=me.boot_id, host=me.host)


def line(step: int, names: Sequence[str]) -> str:
    """A record of a step, as a trainer writes it, with falling and noisy values."""
    noise = (step * 2654435761 % 1000) / 1000
    metrics = ",".join(f'"{name}":{2.0 + noise + 50 / (step + 9):.15g}' for name in names)
    stamp = f'"schema":1,"step":{step},"attempt":1,"time":{1.79e9 + step},"tokens":{4096 * step},"elapsed":{step / 4}'
    return f"{{{stamp},{metrics}}}\n"
