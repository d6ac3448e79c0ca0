"""Samples by step: what is found, what is refused, and where two texts differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services.samples import chosen_sample, differences, nearest, read_sample, sample_steps
from nanocore.config.schema import Config
from nanocore.errors import UsageError
from tests.run_helpers import make_run


def test_only_files_of_samples_count_and_in_order(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for name in (
        "step-00000100.txt",
        "step-00000020.txt",
        "step-7.txt",
        "step-x.txt",
        "step-00000030.txt.part",
        "notes",
    ):
        (run.samples_dir / name).touch()
    assert sample_steps(run) == [7, 20, 100]
    assert [nearest([7, 20, 100], step) for step in (1, 7, 99, 500)] == [7, 7, 20, 100]


def test_the_prompt_is_told_apart_from_what_follows(tmp_path: Path) -> None:
    run, prompt = make_run(tmp_path), Config().evaluation.sample_prompt
    run.sample_file(1).write_text(f"{prompt} more")
    run.sample_file(2).write_text("of another prompt")
    assert prompt and (read_sample(run, 1).prompt, read_sample(run, 1).text) == (prompt, " more")
    assert (read_sample(run, 2).prompt, read_sample(run, 2).text) == ("", "of another prompt")
    run.config_file.write_text("no configuration")
    assert read_sample(run, 1).whole == f"{prompt} more"


def test_what_is_read_is_safe_bounded_and_excused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.sample_file(1).write_bytes(b"\x1b[2Jx\xff" + b"y" * 100_000)
    found = read_sample(run, 1)
    assert found.cut and "\x1b" not in found.whole and len(found.whole) <= 64 << 10
    assert "No such file" in read_sample(run, 2).problem


@pytest.mark.parametrize(("step", "words"), [(None, "no sample was taken yet"), (5, "no sample was taken yet")])
def test_a_run_without_samples_is_told_so(step: int | None, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        chosen_sample(make_run(tmp_path), step)


@pytest.mark.parametrize(
    ("one", "two", "mine", "other"),
    [
        ("return a + b", "return a - b", ["+"], ["-"]),
        ("same", "same", [], []),
        ("a b", "a new b", [], ["new "]),
        ("", "all new", [], ["all new"]),
        ("字 one", "字 two", ["one"], ["two"]),
    ],
)
def test_only_words_that_differ_are_in_the_spans(one: str, two: str, mine: list[str], other: list[str]) -> None:
    spans = differences(one, two)
    assert [one[start:stop] for start, stop in spans[0]] == mine
    assert [two[start:stop] for start, stop in spans[1]] == other
