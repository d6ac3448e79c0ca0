"""Who passes over a damaged checkpoint says so, and a fork begins with none: it is refused before it takes a name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nanocore
from nanoconsole.services.launcher import fork_point
from nanocore.errors import CheckpointError, CheckpointWarning
from nanocore.runs.facts import load_facts
from nanocore.runs.forks import waiting_forks
from nanocore.runs.layout import RunFolder, list_runs
from nanocore.worker.contents import inspect
from nanocore.worker.export import export
from nanocore.worker.text import generate
from tests import command_line
from tests.command_line import Nano
from tests.saved import saved_run
from tests.tui.checkpoint_scenes import damage

nano = command_line.nano
TOLD = "saved: step-00000005 is damaged (model.safetensors was altered (SHA-256 differs)); step-00000003 is used"


class Answers(list[dict[str, Any]]):
    """A channel that keeps what is answered."""

    answer = list.append


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Its newest checkpoint, of step 5, is damaged."""
    made = saved_run(tmp_path / "runs", "mhc.streams=1", steps=(3, 5))
    damage(made, 5)
    return made


@pytest.mark.parametrize("verb", [generate, inspect, export])
def test_a_verb_tells_it_at_once_and_its_answer_holds_it(verb: Callable[..., None], run: RunFolder) -> None:
    answers, writing = Answers(), {"backend": "torch", "threads": 1, "tokens": 1, "prompt": "a"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a worker's stderr is read by nobody
        verb({"source": str(run.path), **(writing if verb is generate else {})}, answers)
    assert answers[0] == {"kind": "notice", "text": TOLD}
    done = answers[-1]
    assert [each["kind"] for each in answers].count("notice") == 1 and done["kind"] == "done"
    if verb is export:
        assert Path(done["path"]).name == "saved-step-00000003.gguf"
    else:
        assert done.get("contents", done)["passed_over"] == TOLD


def test_python_users_are_warned_at_their_own_line(run: RunFolder) -> None:
    for call in (lambda: nanocore.load(run.path, backend="torch", threads=1), lambda: nanocore.export(run.path)):
        with pytest.warns(CheckpointWarning) as caught:
            call()
        assert [(str(each.message), each.filename) for each in caught] == [(TOLD, __file__)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nanocore.load(run.path, 3, backend="torch", threads=1)


def test_a_fork_begins_with_the_newest_good_one_and_says_what_it_passed_over(run: RunFolder, nano: Nano) -> None:
    made = nano("train", "--from", "saved", "--name", "fork", "--create-only")
    assert made.code == 0 and made.err.splitlines()[0] == TOLD
    parent = load_facts(RunFolder(nano.root / "fork")).parent
    assert parent is not None and (parent.run, parent.step) == ("saved", 3)
    assert fork_point(nano.root, "saved@3")[1] == ""


def test_a_fork_of_a_damaged_one_is_refused_and_takes_no_name(run: RunFolder, nano: Nano) -> None:
    for options in (("--detach",), ("--create-only",), ()):
        refused = nano("train", "--from", "saved@5", "--name", "fork", *options)
        assert (refused.code, refused.err.count("\n")) == (5, 1)
        assert "saved: its checkpoint of step 5 is damaged (model.safetensors was altered" in refused.err
    damage(run, 3)
    with pytest.raises(CheckpointError, match=r"its checkpoint of step 5 is damaged .* and so are 1 before it"):
        fork_point(nano.root, "saved")
    assert [each.name for each in list_runs(nano.root)] == ["saved"]
    assert waiting_forks(nano.root, run) == {}
