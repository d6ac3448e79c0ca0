"""The verbs `samples` and `log`: data on stdout, talk on stderr, mistakes in a line."""

from __future__ import annotations

import json

import pytest

from nanocore.runs.layout import RunFolder
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import make_run

nano = command_line.nano
STAMP = "2026-11-21 12:00:00"
LOG = f"""{STAMP} INFO    step 1: fine
{STAMP} WARNING step 2: odd
{STAMP} ERROR   step 3: \x1b[31mbroke
Traceback: why
{STAMP} INFO    step 4: fine
"""


@pytest.fixture
def run(nano: Nano) -> RunFolder:
    found = make_run(nano.root.parent, "a-run")
    found.log_file.write_text(LOG)
    for step in (10, 20):
        found.sample_file(step).write_text(f"text of {step}\x1b[2J\n")
    return found


def test_samples_shows_the_newest_or_one_of_a_step(nano: Nano, run: RunFolder) -> None:
    result = nano("samples", "a-run")
    assert (result.code, result.out) == (0, "text of 20␛[2J\n")
    assert "a-run, step 20; samples at 10, 20" in result.err
    assert nano("samples", "a-run", "--step", "10").out == "text of 10␛[2J\n"


def test_samples_as_json(nano: Nano, run: RunFolder) -> None:
    data = nano("samples", "a-run", "--json").data
    assert data["steps"] == [10, 20] and [each["step"] for each in data["samples"]] == [10, 20]
    (one,) = nano("samples", "a-run", "--step", "10", "--json").data["samples"]
    assert one == {"step": 10, "prompt": "", "text": "text of 10␛[2J\n", "cut": False, "problem": ""}


def test_log_prints_everything_or_what_is_asked_for(nano: Nano, run: RunFolder) -> None:
    assert nano("log", "a-run").out == LOG.replace("\x1b", "␛")
    assert nano("log", "a-run", "--last", "1").out == f"{STAMP} INFO    step 4: fine\n"
    assert nano("log", "a-run", "--step", "4").out == f"{STAMP} INFO    step 4: fine\n"
    assert nano("log", "a-run", "--level", "warning", "--grep", "STEP").out == ""
    assert nano("log", "a-run", "--level", "warning", "--grep", "step").out.count("\n") == 2
    assert nano("log", "a-run", "--level", "error").out.endswith("broke\nTraceback: why\n")
    assert nano("log", "a-run", "--grep", "why", "--follow").out == "Traceback: why\n"  # nobody trains it


def test_log_as_json_is_an_object_a_line(nano: Nano, run: RunFolder) -> None:
    lines = [json.loads(line) for line in nano("log", "a-run", "--grep", "odd|why", "--json").out.splitlines()]
    assert [(each["line"], each["level"], each["match"]) for each in lines] == [
        (2, "WARNING", [36, 39]),
        (4, "ERROR", [11, 14]),
    ]
    assert lines[0]["text"] == f"{STAMP} WARNING step 2: odd"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["samples", "a-run", "--step", "12"], "no sample was taken at step 12; the nearest is 10"),
        (["samples", "empty"], "empty: no sample was taken yet"),
        (["samples", "a-rum"], "did you mean a-run?"),
        (["log", "empty"], "empty: has no log yet"),
        (["log", "a-run", "--level", "loud"], "'loud' is no level that can be chosen"),
        (["log", "a-run", "--grep", "("], "not a regular expression"),
        (["log", "a-run", "--last", "-1"], "--last"),
    ],
)
def test_mistakes_are_told_in_one_line(nano: Nano, run: RunFolder, arguments: list[str], words: str) -> None:
    make_run(nano.root.parent, "empty")
    result = nano(*arguments)
    assert result.code == 2 and result.out == ""
    assert words in result.err and result.err.count("\n") == 1
