"""Telling of checks: what a worker answers as states, an exit code, lines and one JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from nanoconsole.cli.checklist import LiveChecklist
from nanoconsole.services.validation import Order, Validation
from nanocore.validation.catalog import NAMES
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano


def told(*states: str) -> Validation:
    """After a worker that was asked for so many checks, told this of them, and was done."""
    asked = NAMES[: len(states)]
    now = Validation().begun(asked)
    for name, state in zip(asked, states, strict=True):
        now = now.told({"kind": "check", "name": name, "state": state})
    return now.told({"kind": "done"})


def test_the_exit_code_counts_failures_and_never_a_check_that_was_not_run() -> None:
    assert Validation().exit_code is None
    assert Validation().begun().exit_code is None
    assert told("passed", "passed").exit_code == 0
    assert told("passed", "not run").exit_code == 0
    assert told("passed", "failed").exit_code == 3
    cut = Validation().begun().told({"kind": "check", "name": NAMES[0], "state": "running"})
    cut = cut.told({"kind": "error", "message": "out of memory", "exit_code": 6})
    assert (cut.exit_code, cut.problem, cut.checks[0].state) == (6, "out of memory", "not run")
    again = told("passed", "failed").begun(["kernels"])
    assert [check.state for check in again.checks[:2]] == ["passed", "waiting"]


def test_a_worker_that_gives_no_result_of_a_check_it_was_asked_for_is_a_fault() -> None:
    for last in ("waiting", "running"):
        found = told("passed", last)
        assert (found.exit_code, found.problem) == (1, f"the worker gave no result of {NAMES[1]}")
        (_, check) = found.document()["checks"]
        assert (check["state"], check["meaning"]) == ("not run", "the worker gave no result of it")
    assert told("running", "failed", "waiting").exit_code == 3
    assert told("running", "passed", "waiting").problem == f"the worker gave no result of {NAMES[0]} and 1 more"
    assert Validation().begun(["kernels"]).told({"kind": "error", "exit_code": 0}).exit_code == 1


def test_what_the_user_ends_has_the_exit_code_of_an_interrupt() -> None:
    now = Validation().begun(NAMES[:3]).told({"kind": "check", "name": NAMES[0], "state": "failed"})
    found = now.told({"kind": "check", "name": NAMES[1], "state": "running"}).halted()
    assert (found.exit_code, found.stopped, found.running) == (130, True, False)
    assert [(check.state, check.meaning) for check in found.checks[1:3]] == [("not run", "stopped")] * 2
    assert found.checks[3].state == "waiting"  # nobody asked for it
    assert not found.begun(NAMES[:1]).stopped


class Scripted:
    answers: list[dict[str, Any]] = []
    request: dict[str, Any] = {}

    def __init__(self, request: dict[str, Any]) -> None:
        Scripted.request = request

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self.answers

    def cancel(self) -> None:
        pass


WORDS = {"kind": "check", "name": "kernels", "seconds": 0.5}
FAILED = [
    {**WORDS, "state": "running"},
    {**WORDS, "state": "failed", "observed": "5 of 415 sums differ", "expected": "every sum exact"},
    {"kind": "done"},
]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    monkeypatch.setattr("nanoconsole.services.workers.Worker", Scripted)
    Scripted.answers = FAILED
    return Scripted


def test_the_verb_tells_each_check_and_ends_with_3_when_one_fails(nano: Nano, scripted: type[Scripted]) -> None:
    result = nano("validate", "--only", "kernels")
    assert result.code == 3
    assert result.out.splitlines() == [
        "✗ kernels      failed    0.50 s",
        "    observed  5 of 415 sums differ",
        "    expected  every sum exact",
        "    look at   docs/kernels.md; kernels/nanokernels",
    ]
    assert result.err.startswith("0 passed, 1 failed, 0 not run in ")
    scripted.answers = [{**WORDS, "state": "passed", "figure": "4 paths"}, {"kind": "done"}]
    assert nano("validate", "--only", "kernels").code == 0
    silent = nano("validate")
    assert silent.code == 1
    assert "    the worker gave no result of it" in silent.out.splitlines()
    assert silent.err.rstrip().endswith("; the worker gave no result of environment and 31 more")


def test_json_is_one_document_with_the_failing_check(nano: Nano, scripted: type[Scripted]) -> None:
    found = nano("validate", "--only", "kernels", "--json")
    assert (found.code, found.data["exit_code"]) == (3, 3)
    (check,) = found.data["checks"]
    assert (check["name"], check["state"], check["observed"]) == ("kernels", "failed", "5 of 415 sums differ")
    assert check["expected"] == "every sum exact" and check["where"].startswith("docs/kernels.md")
    assert found.data["seconds"] >= 0


def test_ctrl_c_says_one_line(nano: Nano, scripted: type[Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Scripted) -> Iterator[dict[str, Any]]:
        yield {**WORDS, "state": "running"}
        raise KeyboardInterrupt

    monkeypatch.setattr(Scripted, "__iter__", interrupted)
    for options in ((), ("--json",)):
        stopped = nano("validate", "--only", "kernels", "--only", "export", *options)
        assert (stopped.code, stopped.err.count("\n"), "{" in stopped.out) == (130, 1, False)
        assert stopped.err.startswith("stopped by Ctrl-C: 0 passed, 0 failed, 2 not run in ")


def test_options_reach_the_worker(nano: Nano, scripted: type[Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(nano.root.parent)
    nano("validate", "--only", "kernels", "--only", "export", "--full", "--keep", "checked")
    keep = str(nano.root.parent / "checked")
    assert scripted.request == {"verb": "validate", "only": ["kernels", "export"], "full": True, "keep": keep}
    assert Order().request() == {"verb": "validate", "only": [], "full": False, "keep": None}
    assert nano("validate", "--only", "nonsense").code == 2


def test_in_a_terminal_what_ended_stays_and_what_runs_is_redrawn() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=100, color_system=None)
    now = Validation().begun(["kernels", "export"])
    with LiveChecklist(console) as live:
        live.show(now)
        for answer in FAILED[:2]:
            now = now.told(answer)
            live.show(now)
        now = now.told({**WORDS, "name": "export", "state": "running"})
        live.show(now)
        live._live.refresh()
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "loading torch" in shown and "✗ kernels      failed    0.50 s" in shown
    assert "    observed  5 of 415 sums differ" in shown
    assert "export" in shown and "1 of 2 checks" in shown
    assert shown.count("✗ kernels") == 1


def test_markup_of_an_answer_is_text() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=100, color_system=None)
    with LiveChecklist(console) as live:
        live.show(Validation().begun().told({**WORDS, "state": "failed", "observed": "[/] [bold]\x1b[2J"}))
    assert "[/] [bold]␛[2J" in console.file.getvalue()  # type: ignore[attr-defined]
