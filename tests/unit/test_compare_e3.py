"""The experiment that comes with the program: what it trains, at every size and length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nanocore.compare import experiment
from nanocore.compare.e3 import e3
from nanocore.compare.experiment import plan, prepare, variants
from nanocore.compare.length import known_steps
from nanocore.compare.spec import BASELINE, POWER_CHECK
from nanocore.config.fields import changed
from nanocore.errors import ConfigError, UsageError
from nanocore.runs import create
from nanocore.runs.create import create_run

NAMES = [
    "mtp",
    "collider-head",
    "collider-full",
    "muon-8bit",
    "galore",
    "galore-8bit",
    "loader-off",
    "everything",
    "adamw",
    "float",
]


def test_the_default_is_three_seeds_at_equal_steps_and_equal_time() -> None:
    spec, kinds = e3(), {"steps": 0, "time": 0, "calibration": 0}
    for item in plan(spec):
        kinds[item.kind] += 1
    assert (spec.name, list(spec.variants), spec.seeds, spec.time_tolerance) == ("e3", NAMES, [1, 2, 3], 0.05)
    assert kinds == {"steps": 36, "time": 24, "calibration": 10}
    assert all(part.claims for part in spec.variants.values())


def test_quick_is_one_seed_and_its_runs_never_meet_those_of_the_default() -> None:
    quick = e3(quick=True)
    planned = plan(quick)
    assert (quick.name, quick.seeds, {item.kind for item in planned}) == ("e3-quick", [1], {"steps"})
    assert len(planned) == len(NAMES) + 2 and quick.steps < e3().steps
    assert all(item.name.startswith("e3-quick-") for item in planned)


def test_every_variant_differs_from_the_baseline_in_what_it_says() -> None:
    spec = e3(seeds=[1])
    configs = {item.variant: item.config for item in plan(spec) if item.kind == "steps"}
    keys = {name: {key for key, *_ in changed(configs[BASELINE], config)} for name, config in configs.items()}
    assert keys[POWER_CHECK] == {"optimizer.matrix_lr", "optimizer.embedding_lr", "optimizer.scalar_lr"}
    assert keys["everything"] == keys["mtp"] | keys["collider-full"] | keys["galore-8bit"]
    assert keys["galore-8bit"] == keys["galore"] | keys["muon-8bit"] | {"galore.projector"}
    assert (configs[BASELINE].data.workers > 0, configs["loader-off"].data.workers) == (True, 0)
    assert all(keys[name] for name in NAMES)


def test_galores_in_every_form_choose_their_subspace_equally_often_and_of_one_rank() -> None:
    planned = plan(e3(seeds=[1], only=["galore", "galore-8bit", "everything"]))
    chosen = {item.variant: item.config.galore for item in planned if item.config.galore.rank_fraction}
    assert chosen.keys() == {"galore", "galore-8bit", "everything"}
    assert len({(form.refresh_every, form.rank_fraction) for form in chosen.values()}) == 1


def test_cadences_keep_their_share_of_the_run() -> None:
    steps = {item.variant: item.config for item in plan(e3(steps=6000, seeds=[1], only=["galore"]))}
    assert (steps["galore"].evaluation.every, steps["galore"].checkpoint.every) == (1000, 2000)
    assert steps["galore"].galore.refresh_every == 200  # the most
    short = plan(e3(steps=40, only=["galore"], seeds=[1]))[-1].config
    assert (short.evaluation.every, short.checkpoint.every, short.training.steps) == (7, 13, 40)


def test_a_preset_with_techniques_is_compared_without_them() -> None:
    spec = e3(preset="nano-125m", steps=1000, sets=["training.batch_size=16"], only=["mtp"], seeds=[1])
    base = next(item.config for item in plan(spec) if item.variant == BASELINE)
    assert (spec.name, base.mtp.horizon, base.collider.mode, base.model.d_model) == ("e3-nano-125m", 0, "off", 768)
    assert base.training.batch_size == 16
    assert e3(preset="e3-full", quick=True).name == "e3-full-quick"


@pytest.mark.parametrize("preset", ["tiny-cpu", "nano-125m"])
def test_what_filters_does_so_in_a_short_run_of_any_preset(preset: str) -> None:
    names = ["collider-head", "collider-full", "everything"]
    found = {item.variant: item.config for item in plan(e3(preset=preset, steps=40, seeds=[1], only=names))}
    assert all(found[name].collider.mode != "off" and found[name].collider.start_step == 0 for name in names)


@pytest.mark.parametrize("override", ["mtp.horizon=2", " mtp.horizon =2"])
def test_what_a_chosen_variant_changes_is_not_set_for_all_runs(override: str) -> None:
    way_out = "; leave it out, or choose other variants with --only"
    with pytest.raises(UsageError) as caught:
        e3(sets=["training.batch_size=2", override], only=["mtp"])
    told = "--set: mtp.horizon is what the variant mtp changes in the baseline, the preset without the techniques"
    assert (str(caught.value), caught.value.exit_code) == (told + way_out, 2)
    with pytest.raises(
        UsageError, match=r"^--set: mtp\.horizon is what each of the variants mtp, everything changes in"
    ):
        e3(sets=[override])
    base = next(item.config for item in plan(e3(sets=[override], only=["galore"])) if item.variant == BASELINE)
    assert base.mtp.horizon == 2  # a baseline with a technique that no chosen variant has


def test_a_variant_that_a_preset_has_already_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^bench e3: variant float: changes nothing beside the baseline; choose"):
        e3(preset="nanogpt-cpu", only=["mtp", "float"])


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no variant named 'mpt'; did you mean mtp\?"):
        e3(only=["mpt"])
    with pytest.raises(ConfigError, match=r"--set: training\.steps belongs to the experiment; use --steps"):
        e3(sets=["training.steps=3"])
    with pytest.raises(
        ConfigError, match=r"variant \S+: .*moe\.experts has no backward .*or choose others with --only"
    ):
        e3(preset="medium-3b")
    with pytest.raises(ConfigError, match=r"^bench e3: --set: model\.d_modle: unknown key; did you mean"):
        e3(sets=["model.d_modle=64"])
    assert list(variants(e3(preset="medium-3b", only=["mtp"]))) == [BASELINE, POWER_CHECK, "mtp"]


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of git for each run."""
    monkeypatch.setattr(create, "git_revision", str)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("before", [1, 2, 4])
def test_an_experiment_killed_as_its_runs_were_made_goes_on_with_their_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """A calibration is made first of all: another measure of the steps would make it another experiment."""
    made: list[str] = []

    def killed(*given: Any, **named: Any) -> None:
        if len(made) == before:
            raise KeyboardInterrupt
        made.append(create_run(*given, **named).name)

    spec = e3(steps=1250, only=["mtp"], seeds=[1])
    monkeypatch.setattr(experiment, "create_run", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare(spec, tmp_path, again=False, slots=2)
    assert made[0] == "e3-mtp-calibration" and len(made) == before
    monkeypatch.undo()
    steps = known_steps(e3(only=["mtp"], seeds=[1]), tmp_path)
    assert steps == 1250
    assert len(prepare(e3(steps=steps, only=["mtp"], seeds=[1]), tmp_path, again=True, slots=2)) == 5


@pytest.mark.usefixtures("quickly")
def test_the_steps_are_those_of_the_experiments_own_runs_with_whichever_seeds(tmp_path: Path) -> None:
    spec, other = e3(steps=1250, only=["mtp"], seeds=[3]), e3(steps=40, only=["mtp"], quick=True)
    planned, alien = {item.kind: item for item in plan(spec)}, plan(e3(steps=70, only=["mtp"], seeds=[2]))[-1]
    create_run(tmp_path, plan(other)[0].config, name="e3-quick-mtp-s1", experiment=plan(other)[0].facts(other))
    create_run(tmp_path, alien.config, name="e3-mine")  # nobody's run, with a name like theirs
    paced = planned["time"]
    create_run(tmp_path, alien.config, name=paced.name, experiment=paced.facts(spec))  # its steps are its own
    assert known_steps(e3(only=["mtp"]), tmp_path) == 0 == known_steps(e3(only=["mtp"]), tmp_path / "nowhere")
    create_run(tmp_path, planned["steps"].config, name=planned["steps"].name, experiment=planned["steps"].facts(spec))
    assert known_steps(e3(only=["mtp"], seeds=[1, 2]), tmp_path) == 1250
