"""A list of runs shows the truth from the ends of files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.records import RecordWriter
from nanocore.runs.summary import export_json, summarize
from tests.run_helpers import status_of_me


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return create_run(tmp_path, Config(), preset="tiny-cpu")


def _train(run: RunFolder, first: int, last: int, attempt: int = 1, loss: float = 2.0) -> None:
    writer = RecordWriter(run.metrics_file)
    for step in range(first, last + 1):
        record = {
            "step": step,
            "attempt": attempt,
            "elapsed": step * 0.5,
            "loss/ce": loss,
            "throughput/tokens_per_sec": 100.0,
        }
        writer.write(record | ({"eval/bits_per_byte": 1.9} if step == 1 else {}))
    writer.close()


def test_a_new_run(run: RunFolder) -> None:
    summary = summarize(run)
    assert (summary.name, summary.state, summary.preset, summary.loss) == ("tiny-cpu-0001", "created", "tiny-cpu", None)
    assert summary.created > 1e9


def test_a_live_run_with_its_time_left(run: RunFolder) -> None:
    lock = acquire(run)
    write_document(run.status_file, status_of_me(state="running", phase="training", step=40, steps=100, tokens=640))
    _train(run, 1, 40)
    summary = summarize(run)
    lock.release()
    assert (summary.state, summary.alive, summary.step, summary.steps, summary.tokens) == (
        "running",
        True,
        40,
        100,
        640,
    )
    assert (summary.loss, summary.bits_per_byte, summary.tokens_per_second) == (2.0, 1.9, 100.0)
    assert summary.eta == pytest.approx(30.0)


def test_time_left_is_unknown_when_nothing_runs(run: RunFolder) -> None:
    _train(run, 1, 40)
    assert summarize(run).eta is None


def test_a_resumed_run_shows_its_newest_attempt(run: RunFolder) -> None:
    _train(run, 1, 120, attempt=1, loss=9.0)
    _train(run, 101, 103, attempt=2, loss=1.5)
    assert (summarize(run).step, summarize(run).loss) == (103, 1.5)


def test_only_the_end_is_read(run: RunFolder) -> None:
    _train(run, 1, 2000)
    assert summarize(run).bits_per_byte is None
    RecordWriter(run.events_file).write({"kind": "eval", "step": 1900, "attempt": 1, "eval/bits_per_byte": 1.7})
    assert summarize(run).bits_per_byte == 1.7


def test_a_loss_that_is_not_a_number_is_shown_not_hidden(run: RunFolder) -> None:
    _train(run, 1, 3)
    _train(run, 4, 4, loss=math.nan)
    summary = summarize(run)
    assert summary.loss is not None
    assert math.isnan(summary.loss)
    document = export_json(run)
    assert document["loss"] is None
    assert document["nonfinite"] == {"loss": "nan"}
    json.dumps(document, allow_nan=False)


def test_a_wrecked_folder_is_listed_all_the_same(run: RunFolder) -> None:
    for path in (run.run_file, run.status_file, run.metrics_file, run.events_file):
        path.write_bytes(b"\0\xff{" * 100)
    summary = summarize(run)
    assert (summary.name, summary.preset, summary.loss) == (run.name, "", None)


def test_the_document_of_a_run_names_its_checkpoints_and_origin(run: RunFolder) -> None:
    document = export_json(run)
    assert document["schema"] == 1
    assert document["checkpoints"] == []
    assert document["run"]["preset"] == "tiny-cpu"
    assert document["pid"] is None
