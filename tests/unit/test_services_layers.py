"""The history of layers: what a reader of its cells, series and verdicts must find in it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nanoconsole.services.layer_metrics import LAYER_METRICS, LayerMetric
from nanoconsole.services.layers import LayerHistory, LayersReader, edges_of
from nanocore.runs.records import Record, RecordWriter
from tests.run_helpers import make_run


def metric(name: str) -> LayerMetric:
    return next(each for each in LAYER_METRICS if each.name == name)


GAIN = metric("streams/gain")


def record(
    step: int, gain: float | None, *, name: str = "blocks.0.attention", attempt: int = 1, **more: object
) -> Record:
    return {"kind": "streams", "name": name, "step": step, "attempt": attempt, "gain": gain, **more}


def history(*records: Record) -> LayerHistory:
    found = LayerHistory()
    found.add(records)
    return found


def test_cells_hold_mean_and_extremes_of_measurements_that_share_them() -> None:
    found = history(*(record(step, float(step)) for step in (1, 10, 20, 30)))
    assert found.steps(GAIN) == [1, 10, 20, 30] and found.range(GAIN) == (1.0, 30.0)
    (cells,) = found.cells(GAIN, ["blocks.0.attention"], edges_of(4, 2))
    assert (
        cells.mean.tolist() == [5.5, 25.0] and cells.low.tolist() == [1.0, 20.0] and cells.high.tolist() == [10.0, 30.0]
    )
    assert cells.newest.tolist() == [10.0, 30.0] and cells.count.tolist() == [2, 2] and not cells.nonfinite.any()
    assert len(found.cells(GAIN, ["blocks.0.attention"], edges_of(4, 100))[0].mean) == 4


def test_values_that_are_not_finite_are_marked_and_leave_the_scale_alone() -> None:
    found = history(record(1, 1.0), record(2, None, nonfinite={"gain": "inf"}), record(3, 3.0))
    (cells,) = found.cells(GAIN, ["blocks.0.attention"], edges_of(3, 3))
    assert cells.nonfinite.tolist() == [False, True, False] and math.isnan(cells.mean[1])
    assert found.range(GAIN) == (1.0, 3.0)
    (one,) = found.cells(GAIN, ["blocks.0.attention"], edges_of(3, 1))
    assert one.nonfinite.tolist() == [True] and one.mean.tolist() == [2.0]


def test_a_layer_that_was_not_measured_has_empty_cells() -> None:
    found = history(record(1, 1.0), record(2, 1.0), record(2, 5.0, name="late"))
    (cells,) = found.cells(GAIN, ["late"], edges_of(2, 2))
    assert cells.count.tolist() == [0, 1] and np.isnan(cells.mean).tolist() == [True, False]


def test_a_resumed_run_replaces_what_came_after() -> None:
    found = history(record(1, 1.0), record(10, 2.0), record(20, 3.0), record(10, 7.0, attempt=2), record(20, 9.0))
    assert found.series(GAIN, "blocks.0.attention") == [(1, 1.0), (10, 7.0)]
    assert found.steps(GAIN) == [1, 10]


def test_lists_are_a_row_a_part() -> None:
    alpha, load = metric("streams/alpha"), metric("moe/fractions")
    found = history(
        record(1, 1.0, alpha=[0.1, None, 0.3], nonfinite={"alpha.1": "nan"}),
        {"kind": "moe", "name": "router", "step": 1, "fractions": [0.75, 0.25]},
    )
    assert found.rows(alpha) == [f"blocks.0.attention {part}" for part in ("pre", "post", "res")]
    assert math.isnan(found.series(alpha, "blocks.0.attention post")[0][1])
    assert found.rows(load) == ["router 1", "router 2"]


def test_the_worst_newest_value_is_told_by_the_rules_of_the_core() -> None:
    found = history(
        record(1, 1.0), record(1, 30.0, name="hot"), record(1, 31.0, name="hotter"), record(1, 9.0, name="warm")
    )
    worst = found.worst(GAIN)
    assert worst is not None and (worst.row, worst.verdict.level) == ("hotter", "sick")
    assert "above 10" in worst.verdict.reason
    assert history(record(1, 30.0), record(2, 1.0)).worst(GAIN) is None
    departure = metric("streams/departure")
    assert history(record(99, 1.0, departure=0.0)).worst(departure) is None  # the rule holds from step 100 on
    assert history(record(100, 1.0, departure=0.0)).worst(departure) is not None


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        '{"kind": "streams"}',
        '{"kind": 3, "name": [], "step": 1}',
        '{"step": 1, "name": "x", "gain": "\\u001b"}',
    ],
)
def test_damaged_lines_cost_only_themselves(line: str, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.layers_file.write_text(f"{line}\n{json.dumps(record(5, 1.5))}\n")
    reader = LayersReader(run)
    while reader.read():
        pass
    assert reader.history.series(GAIN, "blocks.0.attention") == [(5, 1.5)]
    assert reader.skipped == (line == "garbage")


def test_a_reader_goes_on_where_it_was_and_begins_again_with_a_new_file(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    reader = LayersReader(run)
    assert not reader.read() and reader.history.metrics() == []
    writer = RecordWriter(run.layers_file)
    for step in (1, 2):
        writer.write(record(step, float(step)))
        reader.read()
    assert reader.history.steps(GAIN) == [1, 2]
    run.layers_file.write_text(json.dumps(record(1, 9.0)) + "\n")
    reader.read()
    assert reader.history.series(GAIN, "blocks.0.attention") == [(1, 9.0)]


def test_names_from_the_file_are_made_safe() -> None:
    found = history(record(1, 1.0, name="evil\x1b[31m\nname" + "x" * 500))
    (name,) = found.rows(GAIN)
    assert "\x1b" not in name and "\n" not in name and len(name) <= 80
