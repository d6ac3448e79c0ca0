"""Which events of a run a chart marks."""

from __future__ import annotations

from pathlib import Path

from nanoconsole.services.milestones import MilestoneReader
from nanocore.runs.records import RecordWriter
from tests.run_helpers import make_run


def test_events_are_marked_once_and_those_taken_back_by_a_resume_are_not(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    reader = MilestoneReader(run)
    assert reader.read() == ()
    writer = RecordWriter(run.events_file)
    for event in (
        {"kind": "started", "step": 0},
        {"kind": "checkpoint", "step": 10},
        {"kind": "checkpoint", "step": 20},
        {"kind": "health", "step": 20, "health": "healthy", "message": "well again"},
        {"kind": "nonfinite", "step": 25},
        {"kind": "resumed", "step": 10, "attempt": 2},
        {"kind": "fire", "step": 11, "attempt": 2},
        {"kind": "fire", "step": 11, "attempt": 2},
        {"kind": "health", "step": 12, "attempt": 2, "health": "sick", "message": "two streams\nare copies"},
        {"kind": "checkpoint", "step": "x"},
    ):
        writer.write(event)
    found = reader.read()
    assert [(each.step, each.kind) for each in found] == [
        (10, "checkpoint"), (10, "resumed"), (11, "fire"), (12, "alert"),
    ]  # fmt: skip
    assert found[-1].text == "two streams are copies"
    assert reader.read() is found


def test_what_the_new_attempt_tells_before_it_says_where_it_goes_on_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    writer = RecordWriter(run.events_file)
    for event in (
        {"kind": "checkpoint", "step": 20},
        {"kind": "nonfinite", "step": 12, "attempt": 2},
        {"kind": "resumed", "step": 10, "attempt": 2},
    ):
        writer.write(event)
    assert [each.step for each in MilestoneReader(run).read()] == [12, 10]
