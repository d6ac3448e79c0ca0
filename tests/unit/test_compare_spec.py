"""An experiment's file: what it plans."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nanocore.compare.experiment import RATES, plan, prepare, variants
from nanocore.compare.spec import POWER_CHECK, Kind, Spec, Variant, read
from nanocore.config.fields import changed, get
from nanocore.config.resolve import resolve
from nanocore.config.toml import load
from nanocore.errors import DataError, UsageError
from nanocore.runs.create import read_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.pace import Pace, needless
from tests.compared import GOOD, SPEC, make, written


def test_a_file_becomes_runs_paired_by_seed(tmp_path: Path) -> None:
    spec = read(written(tmp_path, GOOD))
    planned = {item.name: item for item in plan(spec)}
    assert sorted(planned) == sorted(
        ["first-look-mtp-calibration"]
        + [f"first-look-{name}-s{seed}" for name in ("baseline", "power-check", "mtp") for seed in (1, 2)]
        + [f"first-look-mtp-s{seed}-time" for seed in (1, 2)]
    )
    mtp, base, short = (planned[f"first-look-{name}"] for name in ("mtp-s2", "baseline-s2", "mtp-calibration"))
    assert (mtp.config.mtp.horizon, mtp.config.training.seed, mtp.config.training.steps) == (2, 2, 40)
    assert (base.config.mtp.horizon, base.config.optimizer.matrix_lr, base.config.hardware.threads) == (0, 0.01, 1)
    assert (short.config, short.facts(spec)["sets"]) == (planned["first-look-baseline-s1"].config, ["mtp.horizon=2"])
    pace = planned["first-look-mtp-s1-time"].pace
    assert pace == Pace(steps=40, calibration="first-look-mtp-calibration")
    assert plan(spec)[0].kind == "calibration"  # alone, before all others


def test_the_power_check_divides_every_learning_rate_by_eight(tmp_path: Path) -> None:
    spec = read(written(tmp_path, GOOD))
    base = resolve(spec.preset, spec.sets)
    slow = resolve(spec.preset, [*spec.sets, *variants(spec)[POWER_CHECK]])
    assert [get(slow, key) for key in RATES] == [get(base, key) / 8 for key in RATES]
    assert get(slow, "optimizer.matrix_lr") == 0.00125


def test_equal_time_alone_and_equal_steps_alone(tmp_path: Path) -> None:
    kinds = {}
    for wanted in ("steps", "time"):
        spec = read(written(tmp_path, GOOD.replace("seeds", f'equal = ["{wanted}"]\nseeds')))
        kinds[wanted] = {(item.variant, item.kind) for item in plan(spec)}
    assert ("mtp", "time") not in kinds["steps"]
    assert not any(kind == "calibration" for _, kind in kinds["steps"])
    assert ("mtp", "steps") not in kinds["time"]
    assert {("baseline", "steps"), (POWER_CHECK, "steps"), ("mtp", "time"), ("mtp", "calibration")} <= kinds["time"]


def test_a_variant_that_costs_no_time_may_skip_the_runs_at_equal_time(tmp_path: Path) -> None:
    text = GOOD.replace(
        "[variants.mtp]", '[variants.cheap]\nequal = ["steps"]\nsets = ["mtp.horizon=1"]\n[variants.mtp]'
    )
    spec = read(written(tmp_path, text))
    assert (spec.at("steps"), spec.at("time")) == (["cheap", "mtp"], ["mtp"])
    kinds = {(item.variant, item.kind) for item in plan(spec)}
    assert ("cheap", "steps") in kinds
    assert ("cheap", "calibration") in kinds  # what its step takes is told all the same
    assert ("cheap", "time") not in kinds
    untimed = read(written(tmp_path, text.replace("seeds", 'equal = ["steps"]\nseeds', 1)))
    assert untimed.timed() == untimed.at("time") == []


@pytest.mark.parametrize(("experiment", "variant", "spared"), [
    (["steps", "time"], None, True), (["time"], None, False), (["steps", "time"], ["time"], False), (["time"], ["steps", "time"], True),
])  # fmt: skip
def test_a_run_of_the_same_steps_stands_for_one_at_equal_time_only_where_it_is_planned(
    tmp_path: Path, experiment: list[Kind], variant: list[Kind] | None, spared: bool
) -> None:
    part = SPEC.variants["smooth"].model_copy(update={"equal": variant})  # its step takes the baseline's time
    changes = {"variants": {"smooth": part}, "equal": experiment, "seeds": [1], "time_tolerance": 0.03}
    planned = plan(SPEC.model_copy(update=changes))
    make(tmp_path, next(item for item in planned if item.kind == "calibration"))
    (pace,) = (item.pace for item in planned if item.pace is not None)
    assert bool(needless(tmp_path, pace)) is spared


def test_an_experiment_goes_on_with_other_seeds_than_its_calibrations_were_made_with(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    first = prepare(read(path), tmp_path / "runs", again=False, slots=2)
    path.write_text(path.read_text().replace("[1, 2]", "[2, 3]"))
    assert "first-look-mtp-calibration" in first
    prepare(read(path), tmp_path / "runs", again=True, slots=2)
    made = RunFolder(tmp_path / "runs" / "first-look-mtp-calibration")
    assert (read_run(made)["experiment"]["seed"], load(made.config_file).training.seed) == (1, 1)
    path.write_text(path.read_text().replace("mtp.horizon=2", "mtp.horizon=3"))
    for each in (tmp_path / "runs").glob("first-look-mtp-s*"):
        shutil.rmtree(each)
    with pytest.raises(UsageError, match=r"^first-look-mtp-calibration: exists, but is no run of this experiment"):
        prepare(read(path), tmp_path / "runs", again=True, slots=2)


def test_two_experiments_may_share_a_baseline_and_its_power_check(tmp_path: Path) -> None:
    first, text = written(tmp_path, GOOD), GOOD.replace("mtp", "moe").replace("moe.horizon=2", "moe.experts=4")
    other = tmp_path / "other.toml"
    other.write_text('baseline = "first-look"\n' + text)
    shared = {"first-look-baseline-s1", "first-look-power-check-s2"}
    names = {item.name for item in plan(read(other))}
    assert shared <= names and {"other-moe-calibration", "other-moe-s1", "other-moe-s1-time"} <= names
    assert not any(name.startswith(("other-baseline-s", "other-power-check")) for name in names)

    root = tmp_path / "runs"
    made = prepare(read(first), root, again=False, slots=2)
    rest = prepare(read(other), root, again=False, slots=2)
    assert shared <= set(made) and set(rest) == names - set(made)
    with pytest.raises(UsageError, match=r"another configuration: optimizer\.matrix_lr"):
        other.write_text(other.read_text().replace("matrix_lr=0.01", "matrix_lr=0.03"))
        prepare(read(other), root, again=True, slots=2)


def test_a_preset_that_is_a_file_lies_beside_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("[model]\nd_model = 64\n")
    path = written(tmp_path, GOOD.replace("tiny-cpu", "mine.toml"))
    monkeypatch.chdir("/")
    assert plan(read(path))[0].config.model.d_model == 64


def test_an_experiment_whose_files_are_not_all_there_makes_no_run(tmp_path: Path) -> None:
    there = tmp_path / "text.py"
    there.write_text("x = 1\n")
    paths = [f'data.sources=[{{kind="files",paths=["{path}"]}}]' for path in (there, tmp_path / "lost.py")]
    variants = {"first": Variant(sets=paths[:1]), "second": Variant(sets=paths[1:])}
    spec = Spec(preset="tiny-cpu", steps=20, seeds=[1], variants=variants, name="look")
    with pytest.raises(DataError, match=r"lost\.py"):
        prepare(spec, tmp_path / "runs", again=False, slots=1)
    assert not list(tmp_path.glob("runs/*"))


def test_the_example_in_the_documentation_of_the_file_is_one(tmp_path: Path) -> None:
    from nanocore.compare import spec as module

    example = (module.__doc__ or "").split("\n\n", 1)[1].replace("\n    ", "\n").strip()
    found = read(written(tmp_path, example))
    assert isinstance(found, Spec)
    assert (found.name, found.seeds, list(found.variants)) == ("mtp", [1, 2, 3], ["mtp2", "smooth", "other"])
    assert len(plan(found)) == 3 + 3 * 6 + 3  # calibrations; baseline, power check, mtp2 and other twice; smooth once
    assert found.variants["smooth"].claims[0].measure == "bits_per_byte"


@pytest.mark.parametrize(
    ("base", "other"), [("e3-baseline", "e3-full"), ("e3-full", "e3-baseline"), ("tiny-cpu", "nanogpt-cpu")]
)
def test_a_variant_may_be_another_preset_trained_as_long(base: str, other: str) -> None:
    spec = Spec(
        preset=base,
        steps=20,
        seeds=[4],
        name="both",
        variants={"v": Variant(preset=other)},
        sets=["evaluation.every=5"],
    )
    planned = {item.kind: item.config for item in plan(spec) if item.variant == "v"}
    assert (planned["steps"].training.steps, planned["steps"].evaluation.every, planned["steps"].hardware.threads) == (
        20,
        5,
        1,
    )
    own = resolve(other, ["training.steps=20", "training.seed=4", "evaluation.every=5", "hardware.threads=1"])
    assert changed(planned["steps"], own) == []
    assert changed(planned["calibration"], own)  # it is the baseline's, and has the differences beside it
