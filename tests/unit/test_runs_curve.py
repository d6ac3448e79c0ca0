"""Every reader of the records has one test of what belongs to the curve: Live, the list, `runs show` and `watch`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nanoconsole.cli.displays import record_line
from nanoconsole.cli.view import RunView
from nanoconsole.services.cost import read_timings
from nanoconsole.services.history import History
from nanoconsole.services.trend import trend
from nanocore.runs.curve import newest_attempts, usable, value, values
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter, read_all
from nanocore.runs.summary import read_measured, summarize
from tests.run_helpers import make_run, status_of_me

STRANGE = [
    {"step": -5, "loss/ce": 1e308},
    {"step": 2**60, "loss/ce": 1e308},
    {"step": True, "loss/ce": 1e308},
    {"step": 7.0, "loss/ce": 1e308},
    {"step": 7, "attempt": "2", "loss/ce": 1e308},
    {"step": 7, "attempt": -1, "loss/ce": 1e308},
    {"step": 7, "schema": 2, "loss/ce": 1e308},
    {"loss/ce": 1e308},
]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = make_run(tmp_path)
    write_document(made.status_file, status_of_me(state="finished", tokens=100))
    writer = RecordWriter(made.metrics_file)
    for step in range(1, 4):
        writer.write({"step": step, "attempt": 1, "elapsed": float(step), "loss/ce": 2.0})
    return made


@pytest.mark.parametrize("record", STRANGE, ids=str)
def test_a_record_without_a_place_on_the_curve_wins_nowhere(run: RunFolder, record: dict[str, object]) -> None:
    RecordWriter(run.metrics_file).write({"attempt": 1, **record})
    history, view = History(), RunView(run, whole=True)
    history.add(read_all(run.metrics_file))
    assert not usable({"attempt": 1, **record})
    assert history.last("loss/ce") == summarize(run).loss == view.measures.get("loss/ce") == 2.0
    assert summarize(run).step == history.span("step")[1] == 3
    assert [entry["step"] for entry in view.news] == [1, 2, 3]


@pytest.mark.parametrize("loss", ["true", '"2"', "[1]", "{}", "1" + "0" * 400])
def test_a_value_that_is_no_number_ends_nothing(run: RunFolder, loss: str) -> None:
    with run.metrics_file.open("a") as file:
        file.write(f'{{"step": 4, "attempt": 1, "time": {loss}, "elapsed": {loss}, "loss/ce": {loss}}}\n')
    view = RunView(run, whole=True)
    shown, listed = view.measures.get("loss/ce"), summarize(run).loss
    assert (shown, listed) in ((2.0, 2.0), ("inf", math.inf))
    assert record_line(view.news[-1], 9).startswith("step ")
    assert view.eta is None
    assert trend(read_measured(run).losses) is None
    assert len(read_timings(run.path.parent)) <= 1


def test_a_loss_that_was_not_finite_is_a_value() -> None:
    record = json.loads('{"step": 1, "loss/ce": null, "nonfinite": {"loss/ce": "-inf", "x": "\\u001b"}, "note": "a"}')
    assert value(record, "loss/ce") == -math.inf
    assert dict(values(record)) == {"loss/ce": -math.inf}
    assert newest_attempts([record]) == [record]
