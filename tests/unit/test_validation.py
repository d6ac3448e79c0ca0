"""Running checks and telling of them: whatever happens in one the others run, and the exit code says it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nanoconsole.cli.checklist import LiveChecklist
from nanoconsole.services.validation import Order, Validation
from nanocore.errors import ResourceError, UsageError
from nanocore.validation.catalog import CHECKS, NAMES
from nanocore.validation.outcome import Found, NotRun
from nanocore.validation.run import chosen, run
from nanocore.validation.workshop import Workshop
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano
ROOT = Path(__file__).parents[2]


def test_a_check_that_breaks_or_cannot_run_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Workshop) -> None:
        raise RuntimeError("x\x1b[2J")

    def absent(_: Workshop) -> None:
        raise NotRun("there is no GPU here")

    monkeypatch.setattr("nanocore.validation.checks.environment.check", broken)
    monkeypatch.setattr("nanocore.validation.checks.kernels.check", absent)
    with Workshop() as workshop:
        reports = {report.name: report for report in run(chosen(NAMES[:2]), workshop)}
    assert (reports["environment"].observed, reports["environment"].expected) == ("RuntimeError: x␛[2J", "no error")
    assert (reports["kernels"].state, reports["kernels"].meaning) == ("not run", "there is no GPU here")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), ResourceError("full"), MemoryError()]
)
def test_a_full_disk_or_memory_is_no_failure_of_a_check(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Workshop) -> None:
        raise error

    monkeypatch.setattr("nanocore.validation.checks.environment.check", full)
    with Workshop() as workshop, pytest.raises((ResourceError, MemoryError)):
        list(run(chosen(NAMES[:2]), workshop))


def test_what_needs_a_process_begins_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("environment", "kill"):
        module = f"nanocore.validation.checks.{name}"
        monkeypatch.setattr(f"{module}.check", lambda _, name=name: steps.append(name) or Found("1", "one"))
    monkeypatch.setattr("nanocore.validation.checks.kill.begin", lambda _: steps.append("begin"))
    with Workshop() as workshop:
        told = [(report.name, report.state) for report in run(chosen(["kill", "environment"]), workshop)]
    assert steps == ["begin", "environment", "kill"]
    assert told == [("kill", "running"), ("environment", "running"), ("environment", "passed"), ("kill", "passed")]


def test_what_cannot_begin_is_told_and_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Workshop) -> None:
        raise OSError("no process")

    monkeypatch.setattr("nanocore.validation.checks.kill.begin", broken)
    with Workshop() as workshop:
        report = list(run(chosen(["kill"]), workshop))[-1]
    assert (report.state, report.observed) == ("failed", "OSError: no process")


def test_the_trainer_beside_the_checks_is_started_before_torch_is_loaded() -> None:
    program = (
        "import sys, nanocore.worker.validate, nanocore.validation.run, nanocore.validation.checks.kill;"
        "from nanocore.validation.workshop import Workshop; workshop = Workshop();"
        "workshop.new_run('a'); workshop.close(); print([name for name in ('torch', 'triton') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "[]\n"


def test_checks_run_in_the_order_of_the_catalog_and_unknown_names_are_refused() -> None:
    assert [entry.name for entry in chosen(list(reversed(NAMES)))] == list(NAMES)
    with pytest.raises(UsageError, match="no check named 'nonsense'"):
        chosen(["nonsense"])


def test_the_catalog_names_places_that_exist() -> None:
    for entry in CHECKS:
        assert entry.about.endswith(".") and entry.holds
        for place in (part.strip() for part in entry.where.replace(";", ",").split(",")):
            if "/" in place:
                assert (ROOT / place).exists(), place
        module = entry.function.partition(":")[0].rpartition(".")[2]
        assert (ROOT / "core/nanocore/validation/checks" / f"{module}.py").is_file()


def test_a_workshop_leaves_nothing_unless_it_is_kept(tmp_path: Path) -> None:
    with Workshop() as workshop:
        folder, run_ = workshop.folder, workshop.new_run("a")
        assert run_.config_file.is_file()
    assert not folder.exists()
    with Workshop(keep=tmp_path / "kept") as workshop:
        workshop.new_run("a")
    assert (tmp_path / "kept" / "a" / "config.toml").is_file()
    with pytest.raises(UsageError, match="is not empty"):
        Workshop(keep=tmp_path / "kept")


ENDED = """
import sys, time
from nanocore.worker.channel import Channel
channel = Channel()
channel.request()
channel.listen()
channel.on_end(lambda: print("cleaned", file=sys.stderr, flush=True))
channel.answer({"kind": "ready"})
time.sleep(60)
"""


def test_a_worker_cleans_up_when_the_console_is_gone() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ENDED], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as worker:
        assert worker.stdin and worker.stdout and worker.stderr
        worker.stdin.write("{}\n")
        worker.stdin.flush()
        worker.stdout.readline()
        worker.stdin.close()
        assert worker.stderr.read() == "cleaned\n"
        assert worker.wait(20) == 130


def test_a_trainer_beside_the_checks_ends_with_the_workshop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEP_SECONDS", "0.05")
    from nanocore.runs import spawn

    right = spawn.start_detached
    monkeypatch.setattr(spawn, "start_detached", lambda _, *rest, **more: right("tests.fake_trainer", *rest, **more))
    with Workshop() as workshop:
        process = workshop.start(workshop.new_run("beside", "training.steps=100000"))
        os.kill(process.pid, 0)
    assert process.returncode == -signal.SIGKILL


def told(*states: str) -> Validation:
    now = Validation().begun()
    for name, state in zip(NAMES, states, strict=False):
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
    assert nano("validate").code == 0


def test_json_is_one_document_with_the_failing_check(nano: Nano, scripted: type[Scripted]) -> None:
    found = nano("validate", "--json")
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
        stopped = nano("validate", *options)
        assert (stopped.code, stopped.err.count("\n"), "{" in stopped.out) == (130, 1, False)
        assert stopped.err.startswith("stopped by Ctrl-C: 0 passed, 0 failed, 1 not run in ")


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
