"""`runs list --filter --sort`, `tag`, `note`, `archive`, `delete`, `compare`: data on stdout, talk on stderr, exit codes."""

from __future__ import annotations

import pytest

from nanocore.config.schema import Config
from nanocore.config.toml import save
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire
from nanocore.runs.notes import read_notes
from nanocore.runs.trash import trash_dir
from tests import command_line
from tests.command_line import Nano
from tests.tui.scenes import lay

nano = command_line.nano


@pytest.fixture
def runs(nano: Nano) -> list[RunFolder]:
    nano.root.mkdir()
    found = [
        lay(nano.root, name, steps=steps, age=age) for name, steps, age in (("a", 60, 10), ("b", 5, 20), ("c", 240, 30))
    ]
    save(Config.model_validate({"mhc": {"streams": 4}, "optimizer": {"matrix_lr": 0.05}}), found[1].config_file)
    return found


def names(nano: Nano, *options: str) -> list[str]:
    return [run["name"] for run in nano("runs", "list", "--json", *options).data]


def test_lists_are_filtered_sorted_and_reversed(nano: Nano, runs: list[RunFolder]) -> None:
    assert names(nano) == ["a", "b", "c"]
    assert names(nano, "--sort", "loss") == ["c", "a", "b"]
    assert names(nano, "--sort", "loss", "--reverse") == ["b", "a", "c"]
    assert names(nano, "--filter", "step>5 loss<9") == ["a", "c"]
    assert names(nano, "--filter", "lr>0.03 OR mhc.streams=4") == ["b"]
    assert names(nano, "--sort", "optimizer.matrix_lr") == ["a", "c", "b"]
    assert names(nano, "--filter", "has:eval/ce") == ["a", "c"]


def test_a_filter_or_order_that_means_nothing_is_one_line_and_exit_code_2(nano: Nano, runs: list[RunFolder]) -> None:
    for options, says in ((("--filter", "lss<2"), "filter, column 1: "), (("--sort", "lss"), "nothing to sort by")):
        result = nano("runs", "list", *options)
        assert (result.code, result.err.count("\n"), result.out) == (2, 1, "")
        assert says in result.err
        assert "did you mean loss?" in result.err


def test_a_table_says_what_it_leaves_out(nano: Nano, runs: list[RunFolder]) -> None:
    nano("runs", "archive", "a", "c")
    result = nano("runs", "list")
    assert [line.split()[0] for line in result.out.splitlines()] == ["run", "b"]
    assert "2 archived; see them with --archived" in result.err
    assert names(nano, "--archived") == ["a", "b", "c"]
    assert nano("runs", "unarchive", "a").out == "a: in the list again\n"
    assert names(nano) == ["a", "b"]
    assert "fits; 1 archived" in nano("runs", "list", "--filter", "name:c").err
    assert nano("runs", "list", "--archived", "--filter", "loss>99").err.endswith("fits loss>99\n")


def test_tags_and_notes_are_kept_with_the_run_and_listed(nano: Nano, runs: list[RunFolder]) -> None:
    assert nano("runs", "tag", "a", "b", "--add", "good", "--add", "sweep/1").code == 0
    assert read_notes(runs[1]).tags == ("good", "sweep/1")
    assert nano("runs", "tag", "a", "--remove", "good", "--json").data == [
        {"run": "a", "tags": ["sweep/1"], "note": "", "archived": False}
    ]
    nano("runs", "note", "a", "lr too \x1b[2Jhigh")
    assert nano("runs", "note", "a").out == "a: sweep/1 lr too ␛[2Jhigh\n"
    listed = {run["name"]: run for run in nano("runs", "list", "--json").data}
    assert (listed["a"]["tags"], listed["a"]["note"]) == (["sweep/1"], "lr too ␛[2Jhigh")
    assert names(nano, "--filter", "tag:good") == ["b"]
    assert nano("runs", "tag", "c").out == "c: no tags, no note\n"


def test_a_bad_tag_or_name_is_refused_in_one_line(nano: Nano, runs: list[RunFolder]) -> None:
    for arguments in (("tag", "a", "--add", "Big"), ("note", "nobody", "x"), ("archive", "a", "nobody")):
        result = nano("runs", *arguments)
        assert (result.code, result.err.count("\n")) == (2, 1)
    assert not runs[0].notes_file.exists()


def test_several_runs_are_deleted_and_the_one_at_work_stays(nano: Nano, runs: list[RunFolder]) -> None:
    lock = acquire(runs[1])
    result = nano("runs", "delete", "a", "b", "c")
    lock.release()
    assert result.code == 75
    assert result.err.count("\n") == 1 and "b: is in use" in result.err
    assert len(result.out.splitlines()) == len(list(trash_dir(nano.root).iterdir())) == 2
    assert names(nano) == ["b"]


def test_runs_are_compared_at_the_last_common_step(nano: Nano, runs: list[RunFolder]) -> None:
    found = nano("runs", "compare", "a", "b", "c", "--json").data
    assert (found["metric"], found["axis"], found["x"], found["baseline"]) == ("loss/ce", "step", 5.0, "a")
    assert [run["run"] for run in found["runs"]] == ["a", "b", "c"]
    assert [run["x"] for run in found["runs"]] == [5.0] * 3
    assert [run["difference"] for run in found["runs"]] == [None, 0.0, 0.0]  # the same seed: the same losses
    assert [run["rank"] for run in found["runs"]] == [2, 3, 1]
    assert found["runs"][1]["finals"]["eval/bits_per_byte"] is None
    assert found["config"] == [
        {"key": "mhc.streams", "values": [1, 4, 1]},
        {"key": "optimizer.matrix_lr", "values": [0.02, 0.05, 0.02]},
    ]


def test_the_table_of_a_comparison_shows_values_and_differing_keys(nano: Nano, runs: list[RunFolder]) -> None:
    result = nano("runs", "compare", "a", "b", "--baseline", "b", "--axis", "tokens", "--at", "8192")
    assert "loss/ce at tokens 8,192; differences to b" in result.err
    assert "optimizer.matrix_lr" in result.out and "0.05" in result.out


def test_what_cannot_be_compared_is_one_line(nano: Nano, runs: list[RunFolder]) -> None:
    for options, says in (
        (("a",), "from 2 to 8 runs"),
        (("a", "b", "--baseline", "c"), "none of the runs"),
        (("a", "b", "--metric", "no/such"), "no run recorded the metric 'no/such'"),
        (("a", "nobody"), "no run named"),
    ):
        result = nano("runs", "compare", *options)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert says in result.err
