"""`--set section.key=value` and what TARGET means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nanocore.config.fields import get
from nanocore.config.overrides import apply, parse
from nanocore.config.resolve import resolve
from nanocore.errors import ConfigError, UsageError


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("model.d_model=64", "model.d_model", 64),
        (" model.d_model = 64 ", "model.d_model", 64),
        ("optimizer.matrix_lr=3e-4", "optimizer.matrix_lr", 3e-4),
        ("training.tokens=1_000_000", "training.tokens", 1_000_000),
        ("model.qk_norm=false", "model.qk_norm", False),
        ("hardware.device=cpu", "hardware.device", "cpu"),
        ("hardware.device=cuda:1", "hardware.device", "cuda:1"),
        ("schedule.decay_shape=1-sqrt", "schedule.decay_shape", "1-sqrt"),
        ("training.duration=8h", "training.duration", "8h"),
        ("training.duration='8h'", "training.duration", "8h"),
        ("training.duration=", "training.duration", ""),
        ("evaluation.sample_prompt=a = b", "evaluation.sample_prompt", "a = b"),
        ("evaluation.sample_prompt=#include", "evaluation.sample_prompt", "#include"),
        ("evaluation.sample_prompt=5\nx = 6", "evaluation.sample_prompt", "5\nx = 6"),
        ('evaluation.sample_prompt="5"', "evaluation.sample_prompt", "5"),
        ("data.sources=[{kind='files', paths=['a','b']}]", "data.sources", [{"kind": "files", "paths": ["a", "b"]}]),
    ],
)
def test_values_are_toml_and_bare_words_are_text(text: str, key: str, value: Any) -> None:
    assert parse(text) == (key, value)
    assert type(parse(text)[1]) is type(value)


@pytest.mark.parametrize("text", ["", "model.d_model", "d_model=3", "=3", ".x=3", "model.=3", "\x1b[2J"])
def test_what_is_no_override_names_the_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"--set .*is not section.key=value; write for example") as caught:
        parse(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("raw", ['"abc', "[1, 2", "{a = 1", "'x", "[" * 5000])
def test_a_value_with_an_open_quote_or_bracket_is_refused(raw: str) -> None:
    with pytest.raises(UsageError, match=r"--set data.sources: .* is not a TOML value; close its quotes and brackets"):
        parse(f"data.sources={raw}")


def test_applying_leaves_the_given_table_alone_and_later_values_win() -> None:
    table = {"model": {"d_model": 8}}
    assert apply(table, ["model.d_model=16", "mhc.streams=2", "model.d_model=32"]) == {
        "model": {"d_model": 32},
        "mhc": {"streams": 2},
    }
    assert table == {"model": {"d_model": 8}}


@pytest.mark.parametrize(
    ("option", "horizon"),
    [("training.tokens=5000", (0, 5000, "")), ("training.duration=8h", (0, 0, "8h")), ("training.steps=7", (7, 0, ""))],
)
def test_a_horizon_replaces_the_one_of_the_file(tmp_path: Path, option: str, horizon: tuple[int, int, str]) -> None:
    for line in ("steps = 3", "tokens = 9000", "duration = '1h'"):
        (tmp_path / "c.toml").write_text(f"[training]\n{line}\n")
        training = resolve(str(tmp_path / "c.toml"), [option]).training
        assert (training.steps, training.tokens, training.duration) == horizon


@pytest.mark.parametrize(
    ("preset", "option", "key", "default"),
    [
        ("tiny-cpu", "mhc.streams=1", "mhc.every", 100),
        ("tiny-cpu", "schedule.kind=cosine", "schedule.decay_fraction", 0.3),
        ("d20", "model.linear=float", "model.group_size", 0),
        ("d20", "schedule.decay_fraction=0", "schedule.final_fraction", 0.0),
        ("nano-125m", "optimizer.matrix_weight_decay=0", "schedule.decay_weight_decay", False),
    ],
)
def test_one_override_switches_a_part_of_a_preset_off(preset: str, option: str, key: str, default: object) -> None:
    assert get(resolve(preset), key) != default
    assert get(resolve(preset, [option]), key) == default


def test_an_override_without_effect_is_refused_and_not_dropped() -> None:
    with pytest.raises(ConfigError, match=r"^--set: mhc\.every: 7 has no effect while mhc\.streams = 1; set it to 100"):
        resolve("tiny-cpu", ["mhc.streams=1", "mhc.every=7"])


def test_a_file_whose_key_has_no_effect_is_refused_whatever_else_is_overridden(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[mhc]\nevery = 7\n")
    with pytest.raises(ConfigError, match=r"c\.toml:2: mhc\.every: 7 has no effect"):
        resolve(str(tmp_path / "c.toml"), ["training.steps=5"])


def test_two_horizons_in_the_options_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match=r"--set: training\.tokens: exactly one of"):
        resolve("tiny-cpu", ["training.steps=3", "training.tokens=4"])


def test_faults_of_options_name_the_option_and_faults_of_the_file_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[model]\nn_heads = 0\nd_model = 0\n")
    with pytest.raises(ConfigError) as caught:
        resolve(str(path), ["model.d_model=1", "model.nheads=4", "mhc=3", "data.sources=[{kind='x'}]"][:2])
    assert [problem.split(" must")[0].split(" unknown")[0] for problem in caught.value.problems] == [
        "--set: model.d_model:",
        f"{path}:2: model.n_heads:",
        "--set: model.nheads:",
    ]


def test_a_rule_that_an_option_broke_names_the_option_and_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[model]\nn_heads = 2\nd_model = 64\nn_kv_heads = 3\n")
    with pytest.raises(ConfigError) as caught:
        resolve(str(path), ["model.d_model=65"])
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == ["--set:", f"{path}:4:"]
    assert "2 heads do not divide d_model = 65" in caught.value.problems[0]


@pytest.mark.parametrize("option", ["model.d_model=abc", "model.qk_norm=True"])
def test_nothing_is_said_of_quotes_that_were_not_typed(option: str) -> None:
    with pytest.raises(ConfigError, match=r"^--set: .* found .*; the default is \w+$"):
        resolve("tiny-cpu", [option])


def test_a_fault_inside_a_list_names_the_option() -> None:
    with pytest.raises(ConfigError, match=r"^--set: data.sources\[0\].kind: must be .* found \"x\""):
        resolve("tiny-cpu", ["data.sources=[{kind='x'}]"])


def test_a_target_is_a_file_or_a_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("[model]\nd_model = 512\n")
    Path("tiny-cpu").write_text("not read")
    assert resolve("mine.toml").model.d_model == resolve("./mine.toml").model.d_model == 512
    assert resolve("tiny-cpu", ["hardware.device=cpu"]).hardware.device == "cpu"
    assert get(resolve("tiny-cpu"), "data.tokenizer") == "bpe"
