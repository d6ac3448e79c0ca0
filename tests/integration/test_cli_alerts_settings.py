"""`nanoconsole alerts` and `nanoconsole settings`: data on stdout, words on stderr, documented exit codes."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from nanoconsole.cli.main import run as call
from nanoconsole.services.settings import load, settings_file
from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.records import RecordWriter
from tests.run_helpers import status_of_me

Capture = pytest.CaptureFixture[str]


def lay(root: Path, *, state: str = "finished", gain: float = 1.0) -> RunFolder:
    run = create_run(root, Config(), name="a-run")
    write_document(run.status_file, status_of_me(state=state, phase="training", step=40, steps=40, attempt=1))
    writer = RecordWriter(run.metrics_file)
    for step in range(1, 41):
        loss = 9.0 if step == 35 else 2.0
        writer.write({"step": step, "attempt": 1, "loss/ce": loss, "mhc/composite_gain": gain})
    writer.close()
    return run


def test_a_run_is_judged_by_all_its_records(tmp_path: Path, capsys: Capture) -> None:
    lay(tmp_path)
    assert call(["alerts", "check", "a-run", "--runs", str(tmp_path)]) == 3
    out = capsys.readouterr().out
    assert "35  loss_spike" in out
    assert "docs/troubleshooting.md#nan-divergence" in out
    assert call(["--runs", str(tmp_path), "alerts", "check", "a-run", "--json"]) == 3
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["rule"], found["step"], found["low"]) == ("loss_spike", 35, "-inf")


def test_a_rule_that_is_off_finds_nothing(tmp_path: Path, capsys: Capture) -> None:
    lay(tmp_path)
    assert call(["settings", "set", "alerts.loss_spike.enabled", "off"]) == 0
    assert call(["alerts", "check", "a-run", "--runs", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no rule would have raised anything" in captured.err


def test_watching_prints_what_is_raised_and_ends_with_the_run(tmp_path: Path, capsys: Capture) -> None:
    run = lay(tmp_path, state="running", gain=5.0)
    lock = acquire(run)

    def end() -> None:
        time.sleep(0.5)
        lock.release()
        write_document(run.status_file, status_of_me(state="finished", step=40, steps=40, attempt=1))

    ending = threading.Thread(target=end)
    ending.start()
    code = call(["alerts", "watch", "a-run", "--runs", str(tmp_path), "--json"])
    ending.join()
    assert code == 3
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["rule"] == "mhc_gain"
    assert call(["alerts", "list", "--runs", str(tmp_path), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["rule"], found["open"], found["acknowledged"]) == ("mhc_gain", False, False)
    assert call(["alerts", "acknowledge", "a-run", "--runs", str(tmp_path)]) == 0
    assert call(["alerts", "list", "--open", "--runs", str(tmp_path)]) == 0
    assert "no alerts" in capsys.readouterr().err


def test_watching_where_nothing_works_ends_at_once(tmp_path: Path, capsys: Capture) -> None:
    lay(tmp_path)
    assert call(["alerts", "watch", "--runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


def test_muting_needs_a_rule_and_a_run(tmp_path: Path, capsys: Capture) -> None:
    lay(tmp_path)
    assert call(["alerts", "mute", "a-run", "disk", "--runs", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": "a-run", "rule": "disk", "muted": True}
    assert call(["alerts", "mute", "a-run", "dsk", "--runs", str(tmp_path)]) == 2
    assert call(["alerts", "mute", "no-run", "disk", "--runs", str(tmp_path)]) == 2
    assert "no rule named 'dsk'" in capsys.readouterr().err


def test_settings_are_shown_set_and_checked(capsys: Capture) -> None:
    assert call(["settings", "path"]) == 0
    assert capsys.readouterr().out == f"{settings_file()}\n"
    assert call(["settings", "set", "theme", "nano-light"]) == 0
    assert call(["settings", "set", "alerts.command", "notify-send 'a run' {text}"]) == 0
    capsys.readouterr()
    assert call(["settings", "show", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["values"]
    assert values["theme"] == "nano-light"
    assert values["alerts.command"] == ["notify-send", "a run", "{text}"]
    assert call(["settings", "show"]) == 0
    assert "nano-dark" in capsys.readouterr().out
    assert call(["settings", "set", "alerts.command", '["notify-send", "a run", "{run}"]']) == 0  # as in the file
    assert load().command == ("notify-send", "a run", "{run}")
    assert call(["settings", "check"]) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["theme", "pink"], 'theme: "pink" is not one of nano-dark'),
        (["thme", "x"], "did you mean theme?"),
        (["refresh_hz", "fast"], 'refresh_hz: "fast" is not a number from 0.1 to 10'),
        (["roots", "'half"], "quotation mark"),
        (["alerts.command", "[touch, {run}]"], "is no list of texts"),  # never one program of that name
    ],
)
def test_what_cannot_be_set_is_one_line_and_code_2(arguments: list[str], told: str, capsys: Capture) -> None:
    assert call(["settings", "set", *arguments]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.count("\n") == 1
    assert not settings_file().exists()


def test_every_fault_of_the_file_is_a_line_and_its_keys_are_checked_too(capsys: Capture) -> None:
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text('refresh_hz = 99\n[keys]\n"live.pause" = "S"\n"live.puase" = "x"\n')
    assert call(["settings", "check", "--json"]) == 2
    problems = json.loads(capsys.readouterr().err)["error"]["problems"]
    assert [problem.partition(": ")[0].rpartition(":")[2] for problem in problems] == ["1", "4", "3"]
    assert call(["settings", "keys", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["live.pause"]["keys"] == ["p"]
    assert not rows["live.pause"]["changed"]
