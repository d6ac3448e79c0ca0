"""The checks of `validate`: each can fail, whatever happens in one the others run, and the exit code says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from nanoconsole.services.validation import Validation
from nanocore.errors import UsageError
from nanocore.validation.catalog import CHECKS, NAMES
from nanocore.validation.outcome import NotRun
from nanocore.validation.run import Report, chosen, run
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano


def ended(name: str) -> Report:
    return list(run(chosen([name])))[-1]


@pytest.mark.parametrize("name", NAMES)
def test_every_check_holds_here(name: str) -> None:
    report = ended(name)
    assert (report.state, report.observed) == ("passed", "")
    assert report.figure and report.meaning and report.seconds >= 0


def test_a_kernel_that_is_wrong_in_one_sum_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from nanokernels import plain

    right = plain.group_sums
    monkeypatch.setattr(
        plain, "group_sums", lambda *parts: [sums.index_fill(1, torch.tensor([82]), 0) for sums in right(*parts)]
    )
    report = ended("kernels")
    assert report.state == "failed" and "torch, t2: 5 of 415 sums differ" in report.observed


def test_a_scale_that_is_lost_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from nanokernels import reference

    monkeypatch.setattr(reference, "scaled", lambda sums, weight, token: sums[0].astype("float32") * token)
    assert "reference, t2: relative error" in ended("kernels").observed


def test_a_cache_that_forgets_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from nanocore.infer.backend import TorchBackend

    right = TorchBackend.forward

    def forgetful(self: TorchBackend, tokens: Any, *, every: bool = False) -> torch.Tensor:
        if self.length > 10:
            self.truncate(self.length - 1)
        return right(self, tokens, every=every)

    monkeypatch.setattr(TorchBackend, "forward", forgetful)
    assert ended("generation").state == "failed"


def test_a_checkpoint_that_changes_a_bit_or_is_not_verified_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from nanocore.checkpoint import state

    right = state.load_file
    with monkeypatch.context() as patch:
        patch.setattr(
            state,
            "load_file",
            lambda path: {
                key: value + 0 if value.dtype.is_floating_point and value.abs().sum() == 0 else value * 1.0001
                for key, value in right(path).items()
            },
        )
        assert "tensors differ" in ended("checkpoint").observed
    monkeypatch.setattr("nanocore.checkpoint.manifest.verify", lambda path, hashes=True: [])
    assert ended("checkpoint").state == "failed"


def test_a_check_that_breaks_or_cannot_run_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("x\x1b[2J")

    def absent() -> None:
        raise NotRun("there is no GPU here")

    monkeypatch.setattr("nanocore.validation.environment.environment", broken)
    monkeypatch.setattr("nanocore.validation.kernels.kernels", absent)
    reports = {report.name: report for report in run(chosen(NAMES[:2]))}
    assert (reports["environment"].observed, reports["environment"].expected) == ("RuntimeError: x␛[2J", "no error")
    assert (reports["kernels"].state, reports["kernels"].meaning) == ("not run", "there is no GPU here")


def test_checks_run_in_the_order_of_the_catalog_and_unknown_names_are_refused() -> None:
    assert [entry.name for entry in chosen(list(reversed(NAMES)))] == list(NAMES)
    with pytest.raises(UsageError, match="no check named 'nonsense'"):
        chosen(["nonsense"])
    assert all(entry.about.endswith(".") and entry.where for entry in CHECKS)


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

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self.answers

    def cancel(self) -> None:
        pass


def test_the_verb_tells_each_check_and_ends_with_3_when_one_fails(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanoconsole.services.workers.Worker", Scripted)
    words = {"kind": "check", "name": "kernels", "seconds": 0.5}
    Scripted.answers = [
        {**words, "state": "running"},
        {**words, "state": "failed", "observed": "5 of 415 sums differ", "expected": "every sum exact"},
        {"kind": "done"},
    ]
    result = nano("validate", "--only", "kernels")
    assert result.code == 3
    assert result.out.splitlines()[:3] == [
        "✗ kernels      failed    0.50 s",
        "    observed  5 of 415 sums differ",
        "    expected  every sum exact",
    ]
    assert result.err == "0 passed, 1 failed, 0 not run\n"
    found = nano("validate", "--json")
    assert (found.code, found.data["exit_code"], [check["name"] for check in found.data["checks"]]) == (
        3,
        3,
        ["kernels"],
    )
    assert nano("validate", "--only", "nonsense").code == 2
    Scripted.answers = [{**words, "state": "passed", "figure": "4 paths"}, {"kind": "done"}]
    assert nano("validate").code == 0
