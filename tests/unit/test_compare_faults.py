"""What is wrong with an experiment's file: one clear line for each fault, with its place and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.compare.spec import read
from nanocore.errors import ConfigError
from tests.compared import GOOD, written

HOSTILE = {
    "steps = 40": ("stpes = 40", "stpes: unknown key; did you mean steps?"),
    "seeds = [1, 2]": ("seeds = [1, 1]", "seeds: a seed stands there twice"),
    "[variants.mtp]\n": ('[variants.mtp]\nequal = ["time", "time"]\n', 'variants.mtp.equal: write ["steps"], ["time"]'),
    'sets = ["mtp.horizon=2"]': ('sets = ["training.steps=3"]', "training.steps belongs to the experiment"),
    "[variants.mtp]": ("[variants.baseline]", "variants.baseline: is added by itself"),
    'preset = "tiny-cpu"': ("preset = 3", "preset: must be text in quotes, found 3"),
    "sets = [": ('name = "../../x"\nsets = [', 'name: "../../x" cannot name runs'),
    "steps": ("steps = 0\n#", "steps: must be at least 1, found 0; write for example 200"),
    "mtp.horizon=2": ("mtp", "mtp: is not section.key=value"),
    "mtp]": ('"\\u001b[2J"]', "cannot name runs"),
    '["mtp.horizon=2"]': ('["mtp.horizon=\\u001b]0;x\\u0007"]', "holds control characters"),
    "2]": ("-1]", "seeds[1]: must be at least 0, found -1; write for example 1"),
    "variants.mtp": (f"variants.{'m' * 60}", "run names would have"),
    "seeds": ("seeds = [\n#", "is not valid TOML"),
}


@pytest.mark.parametrize("old", HOSTILE)
def test_a_wrong_file_is_refused_with_its_place_and_a_way_out(tmp_path: Path, old: str) -> None:
    new, words = HOSTILE[old]
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert any(words in problem for problem in caught.value.problems), caught.value.problems
    for problem in caught.value.problems:
        assert problem.startswith(str(path))
        assert "\n" not in problem
        assert "\x1b" not in problem


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"x" * (2 << 20), b"a = " + b"[" * 50_000, b"preset = 'tiny-cpu'"])
def test_what_is_no_experiment_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ConfigError):
        read(written(tmp_path, text))


WRONG = {
    "mtp.horizon=2": ("mtp.horizons=2", "7: variants.mtp.sets: mtp.horizons: unknown key; did you mean mtp.horizon?"),
    "horizon=2": ("horizon=99", "7: variants.mtp.sets: mtp.horizon: must be a whole number from 0 to 8, found 99"),
    "[variants.mtp]": ('[variants.mtp]\npreset = "nix"', "7: variants.mtp.preset: nix: no preset has this name"),
    "tiny-cpu": ("tiny-gpu", "2: preset: tiny-gpu: no preset has this name; did you mean tiny-cpu?"),
    "optimizer.matrix_lr": ("optimizer.matrix_rl", "5: sets: optimizer.matrix_rl: unknown key; did you mean"),
    "variants.mtp": ("variants.baseline", "6: variants.baseline: is added by itself; choose another name"),
    "mtp.horizon": ("training.seed", "7: variants.mtp.sets: training.seed belongs to the experiment"),
    "[1, 2]": ("[1, 1]", "4: seeds: a seed stands there twice"),
    '[variants.mtp]\nsets = ["mtp.horizon=2"]': (
        'variants = {mtp = {sets = ["x"]}}',
        "6: variants.mtp.sets: x: is not section",
    ),
    'sets = ["mtp.horizon=2"]': (
        'sets = ["mhc.streams=2"]',
        "7: variants.mtp.sets: changes nothing beside the baseline; give it another value, or leave the variant out",
    ),
    '2]\nsets = ["optimizer.matrix_lr=0.01"]\n[variants.mtp]\nsets = ["mtp.horizon=2"]': (
        '2]\n[variants.same]\npreset = "tiny-cpu"',
        "6: variants.same.preset: changes nothing beside the baseline; give it another value",
    ),
}


@pytest.mark.parametrize("old", WRONG)
def test_what_makes_no_configuration_is_told_with_its_line_and_key(tmp_path: Path, old: str) -> None:
    new, words = WRONG[old]
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}:{words}") and "--set" not in problem


def test_a_filter_that_begins_later_is_not_compared_at_equal_time(tmp_path: Path) -> None:
    late = GOOD.replace('["mtp.horizon=2"]', '["collider.mode=head", "collider.start_step=5"]')
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, late))
    assert caught.value.problems == [
        f"{tmp_path}/{written(tmp_path, late).name}:7: variants.mtp.sets: collider.start_step: its step is timed from the first on, where nothing "
        'is filtered yet; set it to 0, or give the variant equal = ["steps"]'
    ]
    assert read(written(tmp_path, late.replace("[variants.mtp]", '[variants.mtp]\nequal = ["steps"]'))).at("time") == []


TYPES = {
    '["mtp.horizon=2"]': ('"mtp.horizon=1"', '7: variants.mtp.sets: must be a list in [ ], found "mtp.horizon=1"; write ["mtp.horizon=1"]'),
    "[1, 2]": ("1", "4: seeds: must be a list in [ ], found 1; write [1]"),
    'sets = ["mtp.horizon=2"]': ("sets.mtp.horizon = 2", '6: variants.mtp.sets: must be a list in [ ], found a table; write for example ["mtp.horizon=2"]'),
    "[variants.mtp]": ("[variants.mtp.claims]", "6: variants.mtp.claims: must be a list in [ ], found a table; write [[variants.mtp.claims]] and its keys below it"),
    "40": ('"40"', '3: steps: must be a whole number, found "40"; write it without quotes'),
    '"tiny-cpu"': ("3", '2: preset: must be text in quotes, found 3; write for example "tiny-cpu"'),
    "2]": ("1.5]", "4: seeds[1]: must be a whole number, found 1.5; write for example 1"),
    "seeds = [1, 2]": ('seeds = "x"', '4: seeds: must be a list in [ ], found "x"; write for example [1, 2, 3]'),
    "[1,": ('["x",', '4: seeds[0]: must be a whole number, found "x"; write for example 1'),
    "seeds =": ('equal = ["speed"]\nseeds =', "4: equal[0]: must be 'steps' or 'time', found \"speed\"; write for example \"steps\""),
    '"mtp.horizon=2"': ("1", '7: variants.mtp.sets[0]: must be text in quotes, found 1; write for example "mtp.horizon=2"'),
    '[variants.mtp]\nsets = ["mtp.horizon=2"]': (
        "variants.mtp = 3", "6: variants.mtp: must be a table, found 3; write [variants.mtp] and its keys below it"
    ),
}  # fmt: skip


@pytest.mark.parametrize("old", TYPES)
def test_a_value_of_another_type_is_told_with_what_to_write(tmp_path: Path, old: str) -> None:
    new, words = TYPES[old]
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert caught.value.problems == [f"{path}:{words}"]


def test_what_is_missing_has_no_line(tmp_path: Path) -> None:
    path = written(tmp_path, 'preset = "tiny-cpu"\nsteps = 40')
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert caught.value.problems == [f"{path}: variants: is missing; see docs/comparisons.md"]


def test_a_preset_that_is_a_faulty_file_names_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[model]\nd_modle = 64\n")
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, GOOD.replace("tiny-cpu", "mine.toml")))
    assert caught.value.problems == [f"{tmp_path}/mine.toml:2: model.d_modle: unknown key; did you mean model.d_model?"]


def test_a_variant_changes_something_and_claims_are_lines(tmp_path: Path) -> None:
    for old, new, words in (
        ('sets = ["mtp.horizon=2"]', "", "variants.mtp: changes nothing"),
        (
            "[variants.mtp]",
            '[variants.mtp]\nclaims = [{claim = "x", source = "y"}]',
            "variants.mtp.claims[0].scale: is missing",
        ),
        (
            "[variants.mtp]",
            '[variants.mtp]\nclaims = [{claim = "x", source = "y", scale = "z", measure = "mood"}]',
            "measure",
        ),
        (
            "[variants.mtp]",
            '[variants.mtp]\nclaims = [{claim = "\\u001b", source = "y", scale = "z", measure = "gain"}]',
            "no plain line",
        ),
        ("[variants.mtp]", '[variants.mtp]\nclaims = [{clame = "x"}]', "did you mean claim?"),
    ):
        with pytest.raises(ConfigError) as caught:
            read(written(tmp_path, GOOD.replace(old, new, 1)))
        assert any(words in problem for problem in caught.value.problems), (words, caught.value.problems)
