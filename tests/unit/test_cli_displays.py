"""What a follower sees: true numbers, visible NaN, no markup and no escape from a run's own text."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from nanoconsole.cli.displays import JsonDisplay, LineDisplay, SparseDisplay, choose, event_line, record_line
from nanoconsole.cli.live import LiveDisplay
from nanoconsole.cli.output import table
from nanoconsole.cli.view import RunView
from nanocore.runs.create import update_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState, acquire
from nanocore.runs.records import RecordWriter
from nanocore.runs.status import StatusWriter
from tests.run_helpers import make_run, status_of_me

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m [/] [@click=app.quit]quit[/] [red]"


def run_with(tmp_path: Path, *records: dict, events: tuple[dict, ...] = (), **status: object) -> RunFolder:
    """A run folder with these records, and a trainer's last word when `state` is given."""
    run = make_run(tmp_path)
    metrics, told = RecordWriter(run.metrics_file), RecordWriter(run.events_file)
    for index, record in enumerate(records):
        metrics.write({"attempt": 1, "time": float(index), **record})
    for event in events:
        told.write({"attempt": 1, "time": 99.0, **event})
    writer = StatusWriter(run, attempt=1, steps=100)
    writer.update(step=len(records))
    writer.finish(str(status.get("state", "finished")), 0, str(status.get("message", "")))
    return run


def test_a_line_shows_step_loss_bits_per_byte_and_throughput() -> None:
    record = {"step": 40, "loss/ce": 1.23456, "eval/bits_per_byte": 1.5, "throughput/tokens_per_sec": 12345.0}
    assert record_line(record, 100) == "step 40/100  loss 1.235  held-out 1.500 bits/byte  12.3k tok/s"
    assert record_line({"step": 3}, 0) == "step 3"


def test_a_loss_that_is_not_a_number_is_said_so() -> None:
    record = {"step": 40, "loss/ce": None, "nonfinite": {"loss/ce": "nan"}}
    assert record_line(record, 100) == "step 40/100  loss nan"


def test_events_are_told_in_words() -> None:
    assert event_line({"kind": "checkpoint", "step": 4, "path": "checkpoints/step-00000004"}) == (
        "step 4: checkpoint: checkpoints/step-00000004"
    )
    assert event_line({"kind": "warning", "step": 4, "message": "disk is low"}) == "step 4: warning: disk is low"


def test_fire_is_one_line_for_all_its_matrices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fired = tuple({"kind": "fire", "step": 3, "error": error, "parameter": HOSTILE} for error in (1e-4, 2e-4))
    run = run_with(tmp_path, {"step": 3, "loss/ce": 2.0}, events=fired)
    LineDisplay(1).show(RunView(run, whole=True))
    assert capsys.readouterr().out.count("FIRE at step 3: 2 matrices within 2.00e-04 of orthogonal\n") == 1


def test_lines_come_for_the_first_step_every_so_many_and_at_each_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [{"step": step, "loss/ce": 2.0} for step in range(1, 21)]
    records[6]["eval/bits_per_byte"] = 1.75
    run = run_with(tmp_path, *records)
    update_run(run, heldout={"xz_bits_per_byte": 2.07})
    LineDisplay(every=10).show(RunView(run, whole=True))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == ["1/100", "7/100", "10/100", "20/100"]
    assert lines[-1].endswith("finished, 1.750 bits/byte held-out (xz -9: 2.070)")


def test_a_follower_who_comes_late_gets_the_newest_record_and_every_measure(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"step": 1, "eval/bits_per_byte": 1.9, "loss/ce": 3.0}, {"step": 2, "loss/ce": 2.0})
    view = RunView(run)
    assert [entry["step"] for entry in view.news] == [2]
    assert view.measures.get("eval/bits_per_byte") == 1.9
    assert view.ended
    view.poll()
    assert view.news == []


def test_the_time_left_follows_the_pace_of_the_newest_attempt(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    metrics = RecordWriter(run.metrics_file)
    writer = StatusWriter(run, attempt=1, steps=110)
    for step, elapsed in ((50, 500.0), (60, 600.0), (9, 700.0), (10, 702.0)):
        metrics.write({"step": step, "elapsed": elapsed})
    writer.update(step=10, state="running")
    view = RunView(run)
    assert view.eta == 100 * 2.0
    writer.finish("stopped", 0)
    view.poll()
    assert view.eta is None


def test_json_lines_are_ascii_and_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_with(
        tmp_path, {"step": 1, "loss/ce": float("nan")}, events=({"kind": "warning", "step": 1, "message": HOSTILE},)
    )
    with JsonDisplay() as display:
        display.show(RunView(run, whole=True))
        display.note("a word")
    out = capsys.readouterr().out
    assert out.isascii()
    metrics, event, state, note = (json.loads(line) for line in out.splitlines())
    assert (metrics["kind"], metrics["loss/ce"], metrics["nonfinite"]) == ("metrics", None, {"loss/ce": "nan"})
    assert (event["kind"], event["event"]) == ("event", "warning")
    assert (state["state"], state["exit_code"]) == ("finished", 0)
    assert note == {"kind": "note", "text": "a word"}


def drawn(view: RunView, note: str) -> str:
    """What the live display leaves on something that is no terminal: plain text."""
    out = io.StringIO()
    with LiveDisplay(Console(file=out, width=100)) as display:
        display.note(note)
        display.show(view)
    return out.getvalue()


def test_the_live_display_shows_hostile_text_verbatim_and_harmless(tmp_path: Path) -> None:
    sample = {"kind": "sample", "step": 1}
    run = run_with(tmp_path, {"step": 1, "loss/ce": 2.5}, events=(sample,), state="crashed", message=f"boom {HOSTILE}")
    run.sample_file(1).write_text(f"def f(a):\n    return a[i] {HOSTILE}\n")
    text = drawn(RunView(run), f"note {HOSTILE}")
    assert not any(character in text for character in "\x1b\x07\x9b")
    assert "return a[i]" in text
    assert text.count("[@click=app.quit]quit[/]") == 3
    assert "step 1/100" in text
    assert "loss 2.500" in text


def test_a_long_sample_is_cut_at_its_end(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"step": 1}, events=({"kind": "sample", "step": 1},))
    run.sample_file(1).write_text("\n    def f(a):\n" + "        a += 1\n" * 99)
    assert RunView(run).sample[:2] == ["    def f(a):", "        a += 1"]
    assert len(RunView(run).sample) < 10


def test_the_live_display_leaves_the_cursor_visible(tmp_path: Path) -> None:
    out = io.StringIO()
    view = RunView(run_with(tmp_path, {"step": 1}))
    with LiveDisplay(Console(file=out, force_terminal=True, width=80, height=24)) as display:
        display.show(view)
        display.note("a note")
        display.show(view)
    assert out.getvalue().rstrip().endswith("\x1b[?25h")
    assert "a note" in out.getvalue()


def test_tables_align_numbers_to_the_right_and_neutralise_cells(capsys: pytest.CaptureFixture[str]) -> None:
    table(("run", "loss"), [("a", "2.5"), (HOSTILE, "12.25"), ("c", None)])
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) for line in lines] == [len(lines[0])] * 4
    assert lines[1].endswith("  2.5")
    assert "\x1b" not in lines[2]


def test_what_a_resumed_run_does_before_its_first_step_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path)
    lock, display = acquire(run), LineDisplay(1)
    for phase in ("starting", "preparing", "building"):
        write_document(run.status_file, status_of_me(state="starting", phase=phase, step=40, steps=99, attempt=2))
        display.show(RunView(run))
    lock.release()
    told = [f"{run.name}: starting{phase}" for phase in ("", " (preparing)", " (building)")]
    assert capsys.readouterr().out.splitlines() == told


def test_why_a_run_crashed_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crashed = {"kind": "crashed", "step": 0, "message": "no file matches *.md"}
    run = run_with(tmp_path, events=(crashed,), state="crashed", message="no file matches *.md")
    LineDisplay(1).show(RunView(run, whole=True))
    assert capsys.readouterr().out == f"{run.name}: crashed: no file matches *.md\n"


def test_a_slow_line_gets_the_newest_record_now_and_then_and_what_happened_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = [0.0]
    display = SparseDisplay(lambda: clock[0])

    def told(*news: dict[str, object], ended: bool = False) -> str:
        facts = {
            "news": list(news),
            "steps": 9,
            "step": 1,
            "ended": ended,
            "stall": "",
            "activity": "",
            "sample": ["x"],
        }
        display.show(SimpleNamespace(**facts, run=SimpleNamespace(name="r"), state=RunState("running"), measures={}))  # type: ignore[arg-type]
        return capsys.readouterr().out

    first = told({"step": 1, "loss/ce": 3.0}, {"step": 2, "eval/bits_per_byte": 1.5}, {"step": 3, "loss/ce": 2.0})
    assert first == "step 3/9  loss 2.000  held-out 1.500 bits/byte\n"
    assert told({"step": 4, "loss/ce": 1.0}) == ""
    events = ({"kind": "warning", "step": 4, "message": "disk is low"}, {"kind": "sample", "step": 4})
    assert told(*events) == "step 4: warning: disk is low\nstep 4: sample\n"
    clock[0] = 10.0
    assert told({"step": 5, "loss/ce": 0.5}) == "step 5/9  loss 0.5000\n"
    assert told() == ""


def test_a_slow_line_is_asked_for_and_json_goes_before_it() -> None:
    assert isinstance(choose(as_json=False, every=1, sparse=True), SparseDisplay)
    assert isinstance(choose(as_json=True, every=1, sparse=True), JsonDisplay)
