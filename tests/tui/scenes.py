"""Run folders with known contents, and the console over them without its thread: the same picture every time."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import msgspec
from textual.pilot import Pilot

from nanoconsole.services import meters
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.widgets.form import Form
from nanocore.config.schema import Config
from nanocore.runs.create import create_run, update_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.records import RecordWriter
from tests.run_helpers import status_of_me

NOW = 1_790_000_000.0
GIB = 1 << 30
METERS = meters.Meters(
    0.37,
    2,
    5 * GIB,
    16 * GIB,
    40 * GIB,
    100 * GIB,
    1.6,
    GIB // 2,
    (meters.Gpu("H", 0.95, 70 * GIB, 80 * GIB, 412.0, 71.0),),
)


class SteadyMeters:
    """Stands in for the reader of this machine's meters."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, pid: int = 0) -> meters.Meters:
        return METERS


def records(steps: int, *, attempt: int = 1, seed: int = 7) -> list[dict[str, object]]:
    """Invented metrics of a run that learns."""
    numbers = random.Random(seed)
    found: list[dict[str, object]] = []
    for step in range(1, steps + 1):
        loss = 1.2 + 4.3 / math.sqrt(1 + step / 6) + numbers.gauss(0, 0.05)
        record: dict[str, object] = {"step": step, "attempt": attempt, "tokens": step * 4096, "elapsed": step * 0.25}
        record |= {"loss/ce": loss, "training/grad_norm": 0.4 + abs(numbers.gauss(0, 0.2))}
        record |= {"throughput/tokens_per_sec": 16384.0 + numbers.gauss(0, 300), "throughput/steps_per_min": 240.0}
        if step % 40 == 0:
            record |= {"eval/ce": loss + 0.08, "eval/bits_per_byte": (loss + 0.08) / math.log(2)}
        if step % 20 == 0:
            record |= {"mhc/stream_cosine": 0.9 - step / 800, "mhc/forward_norm_ratio": 1 + step / 300}
            record |= {"mhc/backward_norm_ratio": 1.1, "mhc/composite_gain": 1.0}
        found.append(record)
    return found


def lay(
    root: Path,
    name: str,
    *,
    state: str = "finished",
    steps: int = 240,
    total: int = 400,
    age: float = 3600,
    **status: object,
) -> RunFolder:
    """A run folder `age` seconds old whose trainer got to `steps`."""
    run = create_run(root, Config(), name=name, preset="tiny-cpu")
    update_run(run, created=NOW - age)
    facts = {
        "state": state,
        "phase": "training",
        "step": steps,
        "steps": total,
        "attempt": 1,
        "alive": 5,
        "progress": steps,
    }
    write_document(run.status_file, status_of_me(**{**facts, **status}))
    writer = RecordWriter(run.metrics_file)
    for record in records(steps):
        writer.write(record)
    writer.close()
    run.log_file.write_text(
        "".join(f"12:00:{step % 60:02d} INFO step {step} loss 2.1\n" for step in range(1, steps + 1))
    )
    run.sample_file(steps).write_text("def add(a, b):\n    return a + b\n")
    return run


@contextmanager
def at_work(run: RunFolder) -> Iterator[None]:
    """Hold the run's lock, as its trainer does."""
    lock = acquire(run)
    try:
        yield
    finally:
        lock.release()


def set_status(run: RunFolder, **fields: object) -> None:
    """Change fields of status.json."""
    old = msgspec.json.decode(run.status_file.read_bytes())
    write_document(run.status_file, {**old, **fields})


def console(root: Path, edit: str = "") -> ConsoleApp:
    """The app without its follower thread; `look` stands in for it."""
    return ConsoleApp(root, edit=edit, follow=False, clock=lambda: NOW)


def look(app: ConsoleApp) -> None:
    """What the follower does until it has read all there is; its messages wait in the app's queue."""
    while app.follower.poll_list():
        pass
    while app.follower.poll_run():
        pass


def screen_text(app: ConsoleApp) -> str:
    """The screen as plain text, a line a row."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips()) + "\n"


async def seen(pilot: Pilot[None]) -> str:
    """The screen's text when every message that waits has been handled."""
    await pilot.pause()
    await asyncio.sleep(0.002)  # what a thread has just handed over
    await pilot.pause()
    return screen_text(cast("ConsoleApp", pilot.app))


def cursor_on(app: ConsoleApp, key: str) -> None:
    """Put the form's cursor on a field."""
    form = app.screen.query_one(Form)
    form.focus()
    while form.field is None or form.field.key != key:
        before = form.field
        form.action_move(1)
        assert form.field != before, f"{key} is not in the form"
