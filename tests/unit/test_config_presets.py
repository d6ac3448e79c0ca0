"""Built-in presets are valid and honest; the user's presets never replace them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from nanoconsole.services.format import count
from nanocore.config import toml
from nanocore.config.estimate import estimate
from nanocore.config.fields import changed, get
from nanocore.config.presets import Preset, find, presets, save_preset, user_folder
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.errors import UsageError

BUILT_IN = [preset for preset in presets() if preset.origin == "built-in"]


def test_the_promised_presets_are_there() -> None:
    assert {"tiny-cpu", "d20", "nano-125m", "nanogpt-cpu"} <= {preset.name for preset in BUILT_IN}


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_a_built_in_preset_is_valid_and_says_what_it_is_for(preset) -> None:
    config = resolve(preset.name)
    assert preset.problem == "" and preset.description == config.about.description != ""


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_the_numbers_a_preset_states_are_those_of_the_estimate(preset: Preset) -> None:
    config = resolve(preset.name, ["hardware.device=cpu", "hardware.dtype=float32"])
    figures = estimate(config)
    assert f"{count(figures.parameters)} parameters" in config.about.description
    peak = re.search(r"([\d.]+) (MiB|GiB) of tensors at the peak", config.about.expects)
    assert peak is not None
    unit = 2**20 if peak.group(2) == "MiB" else 2**30
    assert float(peak.group(1)) * unit == pytest.approx(figures.peak_bytes, rel=0.03)


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_a_built_in_preset_holds_only_differences_each_with_a_comment(preset) -> None:
    table = tomllib.loads(preset.path.read_text())
    written = {f"{section}.{name}" for section, keys in table.items() for name in keys if section != "about"}
    differing = {key for key, _, _ in changed(Config(), toml.load(preset.path))}
    assert written == differing
    for line in preset.path.read_text().splitlines():
        if " = " in line and not line.startswith(("#", "description", "expects")):
            assert "  # " in line or " # " in line, line


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^tiny_cpu: no preset has this name; did you mean tiny-cpu\?$"):
        find("tiny_cpu")
    with pytest.raises(UsageError, match=r"; the presets are .*tiny-cpu"):
        find("\x1bqqqq")


def test_a_saved_preset_holds_the_differences_and_resolves_to_the_same(tmp_path: Path) -> None:
    config = resolve("tiny-cpu", ["training.duration=8h", "model.qk_norm=false"])
    path = save_preset("mine", config, 'my "first" try')
    assert path == user_folder() / "mine.toml"
    assert changed(resolve("mine"), config) == []
    assert find("mine").origin == "yours" and find("mine").description == 'my "first" try'
    assert 'linear = "ternary"' not in path.read_text()
    assert 'duration = "8h"  # Length of the run' in path.read_text()


def test_a_preset_saved_from_a_file_keeps_its_comments() -> None:
    base = find("tiny-cpu").path
    config = resolve("tiny-cpu", ["model.d_model=64", "hardware.threads=1"])
    path = save_preset("narrow", config, "narrower", base=base)
    assert changed(resolve("narrow"), config) == []
    comments = [line.partition("#")[2] for line in base.read_text().splitlines() if "#" in line]
    assert all(comment in path.read_text() for comment in comments)
    assert resolve("narrow").about.expects == ""  # what tiny-cpu expects is not true of it


def test_saving_again_replaces_the_users_preset() -> None:
    save_preset("mine", resolve("tiny-cpu"), "one")
    save_preset("mine", resolve("tiny-cpu", ["model.d_model=64"]), "two")
    assert get(resolve("mine"), "model.d_model") == 64
    assert [preset.name for preset in presets() if preset.origin == "yours"] == ["mine"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-rf", ".hidden", "A", "a..b", "x" * 65, "a\n", "a b", "\x1b"])
def test_names_that_are_no_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a preset"):
        save_preset(name, Config(), "")
    assert not user_folder().exists()


def test_built_in_names_are_never_overwritten() -> None:
    with pytest.raises(UsageError, match="tiny-cpu: is the name of a built-in preset; choose another name"):
        save_preset("tiny-cpu", Config(), "")
    user_folder().mkdir(parents=True)
    (user_folder() / "tiny-cpu.toml").write_text("[model]\nd_model = 8\n")
    assert resolve("tiny-cpu").model.d_model != 8
    assert [p.problem for p in presets() if p.origin == "yours"] == ["a built-in preset has this name; rename the file"]


def test_broken_and_hostile_files_of_the_user_are_listed_harmless() -> None:
    user_folder().mkdir(parents=True)
    (user_folder() / "broken.toml").write_text("[model\n")
    (user_folder() / "evil.toml").write_text('[about]\ndescription = "\\u001b]52;c;x\\u0007[red]"\n')
    (user_folder() / "Bad Name\x1b.toml").write_text("")
    mine = {preset.name: preset for preset in presets() if preset.origin == "yours"}
    assert mine["broken"].problem.startswith(f"{user_folder()}/broken.toml:1: is not valid TOML")
    assert "cannot name a preset" in mine["Bad Name\u241b"].problem
    assert all(f"{p.name}{p.description}{p.problem}".isprintable() for p in mine.values())
