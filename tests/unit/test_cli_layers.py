"""The verb `layers`: tables of the newest measurement, and every measurement for programs."""

from __future__ import annotations

import csv
import io

import pytest

from nanocore.runs.records import RecordWriter
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import make_run

nano = command_line.nano


@pytest.fixture
def measured(nano: Nano) -> Nano:
    """A run with two measurements of streams; the first also of ternary weights. Step 8 was resumed over."""
    writer = RecordWriter(make_run(nano.root.parent, "a-run").layers_file)
    for attempt, step in ((1, 4), (1, 8), (2, 8)):
        facts = {"step": step, "attempt": attempt, "time": 1.0}
        for name in ("blocks.0.attention", "blocks.0.feed_forward"):
            row = {
                "kind": "streams",
                "name": name,
                "stream_cosine": 0.5 * attempt,
                "gain": float("inf"),
                "pre": [0.1, 0.7],
            }
            writer.write({**facts, **row, "health": "sick", "reason": "gain is inf"})
        if step == 4:
            writer.write(
                {**facts, "kind": "ternary", "name": "blocks.0.up.weight", "zero_fraction": 0.31, "flips": [1]}
            )
    return nano


def test_a_table_of_the_newest_measurement_of_each_kind(measured: Nano) -> None:
    result = measured("layers", "a-run")
    assert result.code == 0
    streams, ternary = result.out.split("\n\n")
    lines = streams.splitlines()
    assert lines[0] == "streams, step 8" and lines[1].split() == ["layer", "health", "cosine", "gain"]
    assert lines[2].split() == ["blocks.0.attention", "sick", "1.000", "inf"]  # of the newest attempt
    assert lines[-1] == "blocks.0.feed_forward: gain is inf"
    assert ternary.splitlines()[0] == "ternary, step 4"
    assert ternary.splitlines()[1].split() == ["name", "zero", "fraction"]


def test_one_step_can_be_chosen(measured: Nano) -> None:
    result = measured("layers", "a-run", "--step", "4")
    assert "streams, step 4" in result.out and "step 8" not in result.out and "0.5000" in result.out


def test_json_holds_every_record_as_it_was_written(measured: Nano) -> None:
    data = measured("layers", "a-run", "--json").data
    assert data["run"] == "a-run"
    assert [(each["step"], each["attempt"]) for each in data["records"]] == [(4, 1)] * 3 + [(8, 2)] * 2
    assert data["records"][0]["pre"] == [0.1, 0.7]
    assert data["records"][0]["gain"] is None and data["records"][0]["nonfinite"] == {"gain": "inf"}
    assert len(measured("layers", "a-run", "--step", "8", "--json").data["records"]) == 2


def test_csv_has_a_column_for_every_value_of_any_record(measured: Nano) -> None:
    result = measured("layers", "a-run", "--csv")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert len(rows) == 5 and "nonfinite" not in rows[0]
    assert (rows[0]["kind"], rows[0]["pre.1"], rows[0]["gain"], rows[0]["zero_fraction"]) == (
        "streams",
        "0.7",
        "inf",
        "",
    )
    assert (rows[2]["kind"], rows[2]["pre.1"], rows[2]["zero_fraction"]) == ("ternary", "", "0.31")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a-run", "--step", "7"], "a-run: nothing was measured at step 7; the nearest is 8"),
        (["a-rum"], "did you mean a-run?"),
        (["empty"], "empty: nothing was measured yet"),
        (["a-run", "--json", "--csv"], "exclude each other"),
        (["a-run", "--step", "0"], "--step"),
    ],
)
def test_mistakes_are_told_in_one_line(measured: Nano, arguments: list[str], words: str) -> None:
    make_run(measured.root.parent, "empty")
    result = measured("layers", *arguments)
    assert result.code == 2 and result.out == ""
    assert words in result.err and result.err.count("\n") == 1


def test_json_tells_what_the_screen_shows(measured: Nano) -> None:
    metrics = {metric["name"]: metric for metric in measured("layers", "a-run", "--json").data["metrics"]}
    gain, zeros = metrics["streams/gain"], metrics["ternary/zero_fraction"]
    assert gain["worst"] == {"row": "blocks.0.attention", "level": "sick", "reason": "gain is inf"}
    assert gain["healthy"] == [0.0, 2.0] and gain["low"] is None
    assert (zeros["low"], zeros["high"], zeros["worst"], zeros["healthy"]) == (0.31, 0.31, None, [0.15, 0.7])
