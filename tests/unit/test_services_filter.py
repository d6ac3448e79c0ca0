"""The filter language: what each form means, and that a mistake is told in one line with its place."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from nanoconsole.services.arrange import Arrangement, sort_key
from nanoconsole.services.filter import ALL, FilterError, parse
from nanoconsole.services.listed import Listed
from nanoconsole.services.run_fields import Context
from nanocore.errors import UsageError
from nanocore.runs.layout import RunFolder
from nanocore.runs.notes import Notes
from nanocore.runs.summary import Summary

NOW = 1_000_000.0
CONTEXT = Context(NOW, lambda run: 2 if run.label == "loud" else 0)


def listed(name: str, *, loss: float | None = 2.0, state: str = "finished", tags: str = "", **more: object) -> Listed:
    summary = Summary(
        name, state, "", state == "running", "tiny-cpu", 50, 100, 4096, loss, None, 1e4, None, NOW - 7200, ""
    )
    config = {
        "optimizer.matrix_lr": 0.02,
        "mhc.streams": 4,
        "mhc.dynamic": True,
        "evaluation.sample_prompt": "python code",
    }
    run = Listed(summary, RunFolder(Path("runs") / name), notes=Notes(tuple(tags.split())), config=config)
    return replace(run, **{"measures": {"eval/ce": 1.5, "loss/ce": loss}, **more})  # type: ignore[arg-type]


def fits(text: str, run: Listed) -> bool:
    return parse(text).matches(run, CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tiny",
        "TINY-*",
        "loss<2.5",
        "loss<=2",
        "loss=2",
        "loss!=3",
        "eval/ce>1.4",
        "ce<1.6",
        "lr>1e-4",
        "lr=0.02",
        "optimizer.matrix_lr>=.02",
        "mhc.streams=4",
        "mhc.dynamic=on",
        "mhc.dynamic=TRUE",
        "mhc.dynamic!=off",
        'evaluation.sample_prompt="python code"',
        "evaluation.sample_prompt:python*",
        "state:finished",
        "state:fin*",
        "preset:tiny-???",
        "tag:good tag:sweep/1",
        "has:eval/ce has:tag",
        "!has:eval/accuracy",
        "!state:running",
        "!(loss>3 OR state:crashed)",
        "loss>3 OR tag:good",
        "(loss>3 OR loss<2.5) !tag:bad",
        "progress=50%",
        "speed>=10k",
        "tokens<5k",
        "age>1h age<3h",
        "step=50",
    ],
)
def test_what_fits_a_finished_run(text: str) -> None:
    assert fits(text, listed("tiny-cpu-0001", tags="good sweep/1"))


@pytest.mark.parametrize(
    "text",
    [
        "base",
        "loss>2",
        "loss<2",
        "loss!=2",
        "training/grad_norm<1e9",
        "training/grad_norm!=1",
        "tag:goo",
        "state:finish",
        "lr>0.02",
        "mhc.dynamic=off",
        "has:bpb",
        "alerts>0",
        "loss<2.5 state:running",
        "age<2h",
        "root:other",
        "name:[t]iny*",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not fits(text, listed("tiny-cpu-0001", tags="good"))


def test_all_must_hold_before_either_is_enough() -> None:
    text = "loss<1 state:running OR tag:x"
    assert fits(text, listed("a", loss=0.5, state="running"))
    assert fits(text, listed("a", loss=9, tags="x"))
    assert not fits(text, listed("a", loss=0.5))


def test_a_number_that_is_not_finite_never_compares_but_can_be_asked_for() -> None:
    lost = listed("lost", loss=math.nan)
    assert not fits("loss<9", lost) and not fits("loss>0", lost)
    assert fits("loss=nan", lost) and not fits("loss=nan", listed("fine"))
    assert fits("loss=inf", listed("up", loss=math.inf))


def test_alerts_and_stalls_are_fields_too() -> None:
    assert fits("alerts>=2 has:alerts", listed("loud"))
    assert fits("state:stalled", listed("slow", state="running", stall="stalled: makes no progress"))


def test_a_metric_that_only_these_runs_recorded_is_known() -> None:
    with pytest.raises(FilterError):
        parse("own/metric>1")
    own = listed("x", measures={"own/metric": 2.0})
    assert parse("own/metric>1", ("own/metric",)).matches(own, CONTEXT)


@pytest.mark.parametrize(("text", "asks"), [("loss<2", False), ("lr>1", True), ("!(a OR model.d_model=64)", True)])
def test_configurations_are_read_only_when_they_are_asked_for(text: str, asks: bool) -> None:
    assert parse(text).config is asks


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("lss<2", 1, "did you mean loss?"),
        ("loss<2 stat:x", 8, "did you mean state?"),
        ("optimizer.matrix_l>1", 1, "did you mean optimizer.matrix_lr?"),
        ("eval/cee<1", 1, "did you mean eval/ce?"),
        ("loss<", 6, "a value is missing after loss<"),
        ("loss<low", 6, "is no number"),
        ("a OR", 5, "a condition is missing here"),
        ("OR a", 1, "a condition is missing here"),
        ("(a", 1, "not closed"),
        ("a)", 2, "closes nothing"),
        ("!", 2, "missing after !"),
        ('name:"x', 6, "without its partner"),
        ("has:xyzzy", 5, "is no field"),
        ("(" * 30, 21, "nested too deeply"),
        ("x" * 501, 500, "more than 500"),
        ("lo\x1b[2Js<1", 3, "lo"),
    ],
)
def test_a_mistake_is_one_line_with_its_column(text: str, column: int, says: str) -> None:
    if "\x1b" in text:  # what cannot be a key is a word, and shown nowhere
        assert not fits(text, listed("a"))
        return
    with pytest.raises(FilterError) as error:
        parse(text)
    assert f"filter, column {column}: " in str(error.value)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def names(arrangement: Arrangement, runs: list[Listed]) -> list[str]:
    return [run.summary.name for run in arrangement.arranged(runs, CONTEXT)]


def test_order_by_a_field_each_in_its_own_direction_and_the_unknown_last() -> None:
    runs = [listed("b", loss=2.0), listed("nan", loss=math.nan), listed("none", loss=None), listed("a", loss=1.0)]
    assert names(Arrangement(sort="loss"), runs) == ["a", "b", "nan", "none"]
    assert names(Arrangement(sort="loss", reverse=True), runs) == ["b", "a", "nan", "none"]
    assert names(Arrangement(sort="name"), runs) == ["a", "b", "nan", "none"]
    assert names(Arrangement(), runs) == ["b", "nan", "none", "a"]  # as they come: newest first
    assert sort_key("speed").falls and not sort_key("bpb").falls and sort_key("eval/accuracy").falls


def test_archived_runs_are_hidden_unless_asked_for() -> None:
    runs = [listed("kept"), listed("old", notes=Notes(archived=True))]
    assert names(Arrangement(), runs) == ["kept"]
    assert names(Arrangement(archived=True), runs) == ["kept", "old"]
    assert names(Arrangement(parse("old")), runs) == []
    assert parse("  ") is ALL


def test_what_nothing_can_be_sorted_by_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean loss"):
        sort_key("los")
