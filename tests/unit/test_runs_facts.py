"""run.json is read field by field of the right kind, or not at all; a damaged one never ends a command in a trace."""

from __future__ import annotations

import json

import pytest

from nanocore.config.schema import Config
from nanocore.errors import UsageError
from nanocore.runs.create import create_run, starting_checkpoint
from nanocore.runs.facts import RunFacts, load_facts, read_facts
from nanocore.runs.layout import RunFolder
from nanocore.runs.spawn import spawn_trainer
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano
DAMAGED = [
    {"heldout": 3, "machine": [1]},
    {"parent": {"run": "x", "step": "q"}},
    {"parent": {"run": "x", "step": 3}},
    {"created": "yesterday"},
    {"parameters": -1},
    {"preset": [], "created": 10**400},
]


@pytest.fixture
def run(nano: Nano) -> RunFolder:
    return create_run(nano.root, Config(), name="a-run", preset="tiny-cpu")


def change(run: RunFolder, **fields: object) -> None:
    run.run_file.write_text(json.dumps({**json.loads(run.run_file.read_bytes()), **fields}))


@pytest.mark.parametrize("fields", DAMAGED, ids=str)
def test_a_damaged_run_is_shown_and_listed_all_the_same(nano: Nano, run: RunFolder, fields: dict[str, object]) -> None:
    change(run, **fields)
    shown = nano("runs", "show", "a-run")
    assert (shown.code, shown.err) == (0, "")
    assert "its run.json cannot be read: " in shown.out
    assert nano("runs", "show", "a-run", "--json").data["problem"].startswith("its run.json cannot be read: ")
    assert nano("runs", "list").code == nano("runs", "list", "--json").code == 0
    assert read_facts(run) == RunFacts()


def test_a_fork_whose_parent_cannot_be_read_does_not_begin_anew(nano: Nano, run: RunFolder) -> None:
    change(run, parent={"run": "x", "step": "q"})
    with pytest.raises(UsageError, match=r"its run\.json cannot be read"):
        starting_checkpoint(run)
    resumed = nano("resume", "a-run")
    assert (resumed.code, resumed.err.count("\n")) == (2, 1)


def test_a_run_of_a_newer_version_says_so_and_is_left_alone(nano: Nano, run: RunFolder) -> None:
    change(run, schema=99)
    shown = nano("runs", "show", "a-run")
    assert shown.code == 0
    assert "was written by a newer version of nanoconsole (schema 99, this one knows 1)" in shown.out
    with pytest.raises(UsageError, match="newer version"):
        spawn_trainer(run, module="tests.fake_trainer")
    assert not run.status_file.exists()


def test_what_a_run_was_made_from_is_shown(nano: Nano, run: RunFolder) -> None:
    change(run, parent={"run": "p", "step": 7, "optimizer": "kept"}, machine={"device": "cpu"}, parameters=1234)
    change(run, heldout={"bytes": 5, "xz_bits_per_byte": 2.25})
    facts = load_facts(run)
    assert (facts.preset, facts.parent and facts.parent.step, facts.parameters) == ("tiny-cpu", 7, 1234)
    text = nano("runs", "show", "a-run").out
    assert "problem" not in text
    assert all(words in text for words in ("p@7, optimizer kept", "device cpu", "1.23k", "2.250"))
