"""Records come back as written, and the curve of a resumed run is the one that stands."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nanocore.runs.curve import newest_attempts
from nanocore.runs.records import RecordWriter, Tail, read_all


def test_a_record_is_one_line_of_plain_json(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "m.jsonl")
    assert writer.write({"step": 1, "loss/ce": 2.5})
    line = (tmp_path / "m.jsonl").read_text()
    assert line == '{"schema":1,"step":1,"loss/ce":2.5}\n'
    assert read_all(tmp_path / "m.jsonl") == [json.loads(line)]


def test_numbers_that_are_not_finite_are_null_and_named(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "m.jsonl")
    writer.write({"step": 1, "loss/ce": math.nan, "layers": [{"gain": math.inf}, {"gain": -math.inf}, {"gain": 1.0}]})
    text = (tmp_path / "m.jsonl").read_text()
    record = json.loads(text, parse_constant=pytest.fail)
    assert record["loss/ce"] is None
    assert record["nonfinite"] == {"loss/ce": "nan", "layers.0.gain": "inf", "layers.1.gain": "-inf"}
    assert record["layers"][2] == {"gain": 1.0}


def test_a_tail_gives_each_record_once(tmp_path: Path) -> None:
    writer, tail = RecordWriter(tmp_path / "m.jsonl"), Tail(tmp_path / "m.jsonl")
    assert tail.read() == []
    for step in range(1, 6):
        writer.write({"step": step})
        assert [r["step"] for r in tail.read()] == [step]
        assert tail.read() == []
    assert (tail.skipped, tail.restarted, tail.pending) == (0, False, False)


def test_a_tail_of_a_file_that_comes_later(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "later.jsonl")
    assert tail.read() == []
    RecordWriter(tmp_path / "later.jsonl").write({"step": 1})
    assert [r["step"] for r in tail.read()] == [1]
    assert not tail.restarted


def test_a_long_history_arrives_in_pieces_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"".join(b'{"step":%d,"loss/ce":1.25}\n' % step for step in range(50_000)))
    tail = Tail(path)
    first = tail.read(max_bytes=10_000)
    assert 0 < len(first) < 1000
    assert tail.pending
    rest = list(first)
    while tail.pending:
        rest += tail.read()
    assert [r["step"] for r in rest] == list(range(50_000))


def test_only_the_end_is_read_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"".join(b'{"step":%d}\n' % step for step in range(10_000)))
    steps = [r["step"] for r in read_all(path, keep=1000)]
    assert steps[-1] == 9999
    assert 50 < len(steps) < 100
    assert steps == list(range(steps[0], 10_000))
    tail = Tail(path, keep=1000)
    assert [r["step"] for r in tail.read()] == steps
    assert tail.skipped == 0


def test_strings_are_safe_when_they_are_read(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "e.jsonl")
    for message in ("\x1b]0;x\x07", "\u202e", "\x7f", "\udcff"):
        writer.write({"message": message})
    writer.write({"é\x9b": 1})
    read = read_all(tmp_path / "e.jsonl")
    assert [record.get("message") for record in read] == ["␛]0;x␇", "\ufffd", "\ufffd", "\ufffd", None]
    assert read[-1]["é\ufffd"] == 1
    for line, record in zip((tmp_path / "e.jsonl").read_bytes().split(b"\n"), read, strict=False):
        (tmp_path / "one").write_bytes(line + b"\n")  # each alone: no other line may make a reader look closer
        assert read_all(tmp_path / "one") == [record]


def _curve(*attempts: tuple[int, int, int]) -> list[dict[str, int]]:
    """Records of (attempt, first step, last step) in file order."""
    return [{"step": s, "attempt": a} for a, first, last in attempts for s in range(first, last + 1)]


def test_a_resumed_run_shows_the_newest_attempt_of_each_step() -> None:
    kept = newest_attempts(_curve((1, 1, 120), (2, 101, 110)))
    assert [(r["step"], r["attempt"]) for r in kept] == [(s, 1) for s in range(1, 101)] + [
        (s, 2) for s in range(101, 111)
    ]


def test_an_attempt_that_began_earlier_hides_all_before_it() -> None:
    kept = newest_attempts(_curve((1, 1, 100), (2, 81, 150), (3, 41, 60)))
    assert [r["step"] for r in kept] == list(range(1, 61))
    assert {r["attempt"] for r in kept} == {1, 3}


def test_several_records_of_a_step_stay_and_strange_ones_go() -> None:
    records = [
        {"step": 1, "attempt": 1, "loss/ce": 1.0},
        {"step": 1, "attempt": 1, "eval/ce": 2.0},
        {"attempt": 1},
        {"step": "2"},
        {"step": True},
    ]
    assert newest_attempts(records) == records[:2]
