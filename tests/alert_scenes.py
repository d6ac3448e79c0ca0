"""A run and what watches over it in tests of alerts, with clocks that stand until they are moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services import alert_guard
from nanoconsole.services.alert_guard import Guard, Look
from nanoconsole.services.alert_log import Alert, AlertLog
from nanoconsole.services.settings import Settings
from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.liveness import acquire
from nanocore.runs.records import RecordWriter
from tests.run_helpers import status_of_me

CREATED = 1000.0
GIB = 2.0**30


class Scene:
    """A run whose trainer is this process, and a guard with clocks that stand until they are moved."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.run = create_run(root, Config(), name="busy")
        self.lock = acquire(self.run)
        self.step = self.beat = 0
        self.free, self.now = 40 * GIB, 0.0
        self.told: list[str] = []
        monkeypatch.setattr(alert_guard, "free_bytes", lambda root: self.free)
        self.set_status()

    def set_status(self, state: str = "running", **fields: object) -> None:
        facts = {"state": state, "phase": "training", "step": self.step, "alive": self.beat, "progress": self.step}
        write_document(self.run.status_file, status_of_me(**{"attempt": 1, **facts, **fields}))

    def train(self, count: int, **metrics: float) -> None:
        writer = RecordWriter(self.run.metrics_file)
        for _ in range(count):
            self.step += 1
            writer.write({"step": self.step, "attempt": 1, "loss/ce": 2.0, "training/grad_norm": 1.0, **metrics})
        writer.close()
        self.beat += 1
        self.set_status()

    def guard(self, **settings: object) -> Guard:
        values = {**Settings().values, **settings}
        return Guard(self.root, Settings(values), self.told.append, ticks=lambda: self.now)  # type: ignore[arg-type]

    def look(self, guard: Guard) -> list[str]:
        return names(guard.look({self.run: CREATED}))

    def end(self, state: str, **fields: object) -> None:
        self.lock.release()
        self.set_status(state, **fields)


def names(look: Look | None) -> list[str]:
    return [alert.rule for alert in look.raised] if look else []


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def alerts(root: Path) -> tuple[Alert, ...]:
    return AlertLog(root).read().alerts
