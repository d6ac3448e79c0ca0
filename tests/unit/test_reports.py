"""Reports: what they hold, that a page fetches and runs nothing, and that no text in one means anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nanoconsole.services.reports.gather import gather
from nanoconsole.services.reports.markdown import fenced, markdown, plain
from nanoconsole.services.reports.page import page
from nanoconsole.services.reports.svg import ticks
from nanoconsole.services.reports.tables import tables
from nanocore.runs.layout import RunFolder
from nanocore.runs.notes import change_notes
from nanocore.runs.records import RecordWriter
from tests import command_line
from tests.command_line import Nano
from tests.tui.checkpoint_scenes import save
from tests.tui.scenes import NOW, lay, set_status

nano = command_line.nano
HOSTILE = "\x1b]0;owned\x07</pre></td><script>alert(1)</script> | `x` **b** [a](http://evil)"


def append(path: Path, *records: dict[str, object]) -> None:
    writer = RecordWriter(path)
    for record in records:
        writer.write(record)
    writer.close()


@pytest.fixture
def runs(tmp_path: Path) -> list[RunFolder]:
    first, second = lay(tmp_path / "runs", "first", steps=120), lay(tmp_path / "runs", "second", steps=60)
    second.config_file.write_text(second.config_file.read_text().replace("steps = 1000", "steps = 2000"))
    append(first.metrics_file, {"step": 121, "attempt": 1, "loss/ce": None, "nonfinite": {"loss/ce": "nan"}})
    append(first.events_file, {"step": 90, "attempt": 1, "kind": "warning", "message": HOSTILE})
    change_notes(first, add=["ablation"], note=HOSTILE)
    set_status(first, message=HOSTILE)
    first.sample_file(120).write_text(f"def f():\n```\n````\n{HOSTILE}\n")
    save(first, 40, 80)
    return [first, second]


def test_the_document_has_finals_checkpoints_events_samples_and_differences(runs: list[RunFolder]) -> None:
    document, plots = gather(runs, NOW)
    first, second = document["runs"]
    assert (first["state"], first["step"], first["tags"]) == ("finished", 121, ["ablation"])
    assert [each["step"] for each in first["checkpoints"]] == [80, 40]
    assert [(each["step"], each["kind"]) for each in first["events"]] == [(90, "alert")]
    assert [each["step"] for each in first["samples"]] == [120] and second["checkpoints"] == []
    finals = {row["metric"]: row["values"] for row in document["finals"]}
    assert finals["loss/ce"][0] == "nan" and isinstance(finals["loss/ce"][1], float)
    assert [plot.metric for plot in plots][:2] == ["loss/ce", "eval/bits_per_byte"]
    loss = plots[0]
    assert [line.name for line in loss.lines] == ["first", "second"] and len(loss.lines[0].nonfinite) == 1
    assert loss.span[0] < 2 and 119 < loss.span[1] < 121


def test_one_run_is_compared_with_its_preset_and_several_with_each_other(tmp_path: Path) -> None:
    first, second = (lay(tmp_path / "runs", name, steps=3) for name in ("a", "b"))
    text = second.config_file.read_text()
    assert "seed = 1337" in text
    second.config_file.write_text(text.replace("seed = 1337", "seed = 7"))
    assert {"key": "training.seed", "values": [1337, 7]} in gather([first, second], NOW)[0]["config"]
    assert len(gather([first, second], NOW)[0]["config"]) == 1
    assert {"key": "training.seed", "values": [1337, 7]} in gather([second], NOW)[0]["config"]
    assert any(table.headings[:2] == ("key", "preset or default") for table in tables(gather([second], NOW)[0]))


def test_a_page_fetches_nothing_runs_nothing_and_escapes_every_text(runs: list[RunFolder]) -> None:
    text = page(*gather(runs, NOW))
    assert not re.search(r"<(script|img|link|iframe|object|embed|a|form)\b", text)
    assert not re.search(r"\b(src|href|srcset|on\w+|url)\s*[=(]", text.replace("&quot;", ""))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "\x1b" not in text
    assert "default-src 'none'" in text
    assert text.count("<svg") == text.count("</svg>") == 5
    assert text.count("<table>") == text.count("</table>")
    assert "✕ 1 columns" in text


def test_markdown_holds_no_markup_of_others(runs: list[RunFolder]) -> None:
    text = markdown(*gather(runs, NOW))
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", text)
    assert "<script" not in outside.replace("\\<", "") and "\x1b" not in text
    assert "[a](" not in outside.replace("\\[", "").replace("\\]", "")
    assert re.search(r"(?m)^`{5}text$", text)  # longer than any fence in the sample
    for line in outside.splitlines():
        if line.startswith("| state"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 4


def test_plain_and_fenced_texts() -> None:
    assert plain("a|b\n*c*") == r"a\|b \*c\*"
    assert fenced("a ``` b").startswith("````text\n")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 4), (1.5, 1.5), (0.00001, 0.00002), (0, 1e9)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low <= tick <= high * (1 + 1e-9) for tick in found)


def test_the_verb_writes_files_and_refuses_other_kinds(nano: Nano, runs: list[RunFolder], tmp_path: Path) -> None:
    target = tmp_path / "both.html"
    result = nano("report", "first", "second", "--output", str(target))
    assert (result.code, result.out, result.err) == (0, "", f"wrote {target}\n")
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert nano("report", "first", "--output", str(tmp_path / "x.md")).code == 0
    told = nano("report", "first").out
    assert told.startswith("# first\n") and "\x1b" not in told and "┤" in told
    assert nano("report", "first", "--json").data["runs"][0]["name"] == "first"
    assert nano("report", "first", "--output", "x.pdf").code == 2
    assert nano("report", "none").code == 2
    assert nano("report", "first", "--output", "/no/such/folder/x.html").code == 6


def test_a_run_that_has_nothing_yet_is_reported(nano: Nano) -> None:
    run = lay(nano.root, "bare", steps=1)
    for path in (run.metrics_file, run.status_file, run.sample_file(1)):
        path.unlink()
    run.config_file.write_text("damaged [")
    assert nano("report", "bare").code == 0
