"""Presets and configurations on the command line: what is printed can be read back and means the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from nanoconsole.services.format import count
from nanocore.config.estimate import estimate
from nanocore.config.presets import find, user_folder
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.runs.create import create_run, update_run
from nanocore.runs.records import RecordWriter
from tests import command_line
from tests.command_line import Nano
from tests.tui.scenes import lay

nano = command_line.nano


def test_the_list_of_presets_has_sizes_and_says_which_file_is_broken(nano: Nano) -> None:
    user_folder().mkdir(parents=True)
    (user_folder() / "mine.toml").write_text("[model]\nd_model = 7\n")
    listed = {facts["name"]: facts for facts in nano("presets", "list", "--json").data}
    assert listed["tiny-cpu"]["parameters"] == estimate(resolve("tiny-cpu")).parameters
    assert listed["mine"]["parameters"] is None
    assert "cannot be used" in listed["mine"]["description"]
    table = nano("presets", "list")
    assert table.code == 0
    assert [line.split()[0] for line in table.out.splitlines()] == ["name", *listed]


def test_a_preset_is_shown_as_written_and_in_full(nano: Nano) -> None:
    short, full = nano("presets", "show", "tiny-cpu").out, nano("presets", "show", "tiny-cpu", "--full").out
    assert short.rstrip("\n") == find("tiny-cpu").path.read_text().rstrip("\n")
    assert "rope_theta = " in full
    assert full.count("#") > full.count("[")
    assert build(tomllib.loads(short)) == build(tomllib.loads(full)) == resolve("tiny-cpu")
    data = nano("presets", "show", "tiny-cpu", "--json").data
    assert build(data["config"]) == resolve("tiny-cpu")


def test_config_show_takes_a_preset_a_file_or_a_run_with_overrides(nano: Nano, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[model]\nn_layers = 3\n")
    create_run(nano.root, resolve(str(file), ["model.n_layers=5"]), name="a-run")
    shown = {target: nano("config", "show", target, "--json").data for target in ("tiny-cpu", str(file), "a-run")}
    assert [data["model"]["n_layers"] for data in shown.values()] == [resolve("tiny-cpu").model.n_layers, 3, 5]
    text = nano("config", "show", "a-run", "--set", "training.steps=7").out
    assert tomllib.loads(text)["training"]["steps"] == 7
    assert nano("config", "show", "a-run", "--comments").out.count("#") > 50


def test_config_diff_lists_the_keys_that_differ(nano: Nano, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[model]\nn_layers = 3\n[training]\nseed = 4\n")
    create_run(nano.root, Config(), name="plain")
    differing = {
        entry["key"]: (entry["a"], entry["b"]) for entry in nano("config", "diff", "plain", str(file), "--json").data
    }
    assert differing == {
        "model.n_layers": (Config().model.n_layers, 3),
        "training.seed": (Config().training.seed, 4),
    }
    same = nano("config", "diff", "plain", "plain")
    assert (same.code, same.out) == (0, "")
    assert "same configuration" in same.err


def test_config_check_tells_what_a_file_would_cost(nano: Nano, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain.toml").write_text("[model]\nn_layers = 3\n")
    checked = nano("config", "check", "plain.toml", "--set", "model.n_layers=4", "--json").data
    assert checked["valid"] is True
    assert checked["parameters"] == estimate(resolve("plain.toml", ["model.n_layers=4"])).parameters
    assert "can be trained" in nano("config", "check", "plain.toml").out
    Path("no-suffix").write_text("[model]\nn_layers = 3\n")
    assert nano("config", "check", "no-suffix").code == 0


def test_config_check_takes_a_preset_as_config_show_does(nano: Nano) -> None:
    checked = nano("config", "check", "tiny-cpu", "--json").data
    assert (checked["target"], checked["valid"]) == ("tiny-cpu", True)
    assert checked["parameters"] == estimate(resolve("tiny-cpu")).parameters
    expects = f"expects: {resolve('tiny-cpu').about.expects}"
    assert nano("config", "check", "tiny-cpu").out.splitlines()[-1] == expects
    assert expects not in nano("config", "check", "tiny-cpu", "--set", "model.n_layers=5").out
    wrong = nano("config", "check", "tiny-cpi")
    assert (wrong.code, "did you mean tiny-cpu" in wrong.err) == (2, True)


def test_config_check_of_a_length_of_time_says_that_its_tokens_are_not_known(nano: Nano) -> None:
    timed = nano("config", "check", "tiny-cpu", "--set", "training.duration=8h")
    (line,) = [line for line in timed.out.splitlines() if line.startswith("tokens")]
    assert line.split(maxsplit=1)[1] == "unknown until the run has timed its steps"
    assert "tokens                1.43M" in nano("config", "check", "tiny-cpu").out


def test_config_check_notes_what_a_run_ends_before_it_comes_to(nano: Nano) -> None:
    late = ("d20-e3-full", "--set", "collider.start_step=6000")
    note = "collider.start_step: 6000 is not before the end of 5000 steps, so no token is ever filtered"
    assert f"note: {note}" in nano("config", "check", *late).err
    assert any(line.startswith(note) for line in nano("config", "check", *late, "--json").data["advice"])


def test_config_check_says_in_which_numbers_it_would_be_computed(nano: Nano) -> None:
    def rows(*sets: str) -> dict[str, str]:
        words = [word for each in sets for word in ("--set", each)]
        lines = [re.split(r"\s{2,}", line) for line in nano("config", "check", "tiny-cpu", *words).out.splitlines()]
        return {line[0]: line[1] for line in lines if len(line) == 2}

    float32, gpu = (
        ("hardware.device=cpu", "hardware.dtype=float32"),
        ("hardware.device=cuda", "hardware.dtype=bfloat16"),
    )
    here, there = rows(*float32), rows(*gpu)
    assert (here["computed in"], there["computed in"]) == ("float32, on a CPU", "bfloat16, on a GPU")
    assert "on a GPU" not in here["peak bytes"] + there["peak bytes"]
    if (plain := rows())["computed in"] == "float32, on a CPU":  # as on most machines that test it
        assert plain["peak bytes"] == f"{here['peak bytes']} ({there['peak bytes']} on a GPU, in bfloat16)"
        assert plain["parameters"] == here["parameters"]
    told = nano("config", "check", "tiny-cpu", "--json", *(word for each in gpu for word in ("--set", each))).data
    assert (told["device"], told["dtype"]) == ("cuda", "bfloat16")


def test_config_check_refuses_a_source_that_matches_no_file(nano: Nano) -> None:
    sets = ("--set", 'data.sources=[{kind="stdlib"}, {kind="files", paths=["~/nots/**/*.md"]}]')
    told = "data.sources[1].paths: no file matches ~/nots/**/*.md; check the folder and the ending of the names"
    checked = nano("config", "check", "tiny-cpu", *sets)
    assert (checked.code, checked.out) == (2, "") and told in checked.err
    found = nano("config", "check", "tiny-cpu", *sets, "--json").data
    assert (found["valid"], found["problems"]) == (False, [told])
    queued = nano("queue", "add", "tiny-cpu", *sets, "--name", "mine")
    assert queued.code == 2 and told in queued.err and not (nano.root / "mine").exists()


def test_a_name_that_no_file_can_have_is_one_line(nano: Nano) -> None:
    for name in ("x" * 300, "x" * 300 + ".toml"):
        assert nano("config", "check", name).code == 2


def test_config_check_tells_in_words_how_long_it_takes_and_why(nano: Nano, tmp_path: Path) -> None:
    file = tmp_path / "plain.toml"
    file.write_text("")

    def told(*sets: str) -> str:
        return nano(
            "config", "check", str(file), *(word for each in sets for word in ("--set", each))
        ).out.splitlines()[-1]

    assert told().split(maxsplit=1) == ["time", "unknown: no finished run like it on this machine"]
    assert told("training.duration=8h").split(maxsplit=1) == ["time", "8h 00m, as training.duration says"]
    run = lay(nano.root, "done", steps=100, tokens=100 * resolve(str(file)).tokens_per_step)
    run.config_file.write_text("")
    assert told("training.steps=400").split(maxsplit=1) == [
        "time", "about 1m 40s, at the speed of run done on this machine",
    ]  # fmt: skip


def test_config_import_prints_a_configuration_that_can_be_trained(nano: Nano, tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text("dim = 64\nn_layers = 3\nn_heads = 4\nn_kv_heads = 2\nbatch_size = 8\nuse_async_loader = false\n")
    result = nano("config", "import", str(old))
    assert result.code == 0, result.err
    new.write_text(result.out)
    assert resolve(str(new)).model.d_model == 64
    old.write_text("dim = 64\nnonsense_key = 3\n")
    refused = nano("config", "import", str(old))
    assert (refused.code, refused.out) == (2, "")
    assert "nonsense_key" in refused.err


def test_text_from_files_reaches_the_terminal_without_its_escapes(nano: Nano) -> None:
    user_folder().mkdir(parents=True)
    (user_folder() / "hostile.toml").write_text("# \u009b31m \u202e [/] [red]\n[about]\ndescription = 'a [/] preset'\n")
    for arguments in (["presets", "show", "hostile"], ["presets", "list"], ["presets", "list", "--json"]):
        result = nano(*arguments)
        assert not any(character in result.out for character in "\x9b\u202e\u2028")
        assert "[/]" in result.out


def test_a_mixture_of_experts_is_told_with_what_a_token_uses(nano: Nano, tmp_path: Path) -> None:
    file = tmp_path / "experts.toml"
    file.write_text("[moe]\nexperts = 8\nd_expert = 64\n")
    figures = estimate(resolve(str(file)))
    active = count(figures.active_parameters)
    assert figures.active_parameters < figures.parameters
    checked = nano("config", "check", str(file)).out
    assert ["active", "parameters", active] in [line.split() for line in checked.splitlines()]
    shown = nano("config", "show", str(file))
    assert f"{active} active for each token" in shown.err and tomllib.loads(shown.out)["moe"]["experts"] == 8
    assert "active" not in nano("config", "check", str(file), "--set", "moe.experts=0").out
    assert nano("config", "show", "tiny-cpu").err == ""


def test_a_run_is_shown_with_its_techniques_and_what_they_keep(nano: Nano) -> None:
    run = lay(nano.root, "a-run", steps=3)
    run.config_file.write_text("[mtp]\nhorizon = 2\n")
    update_run(run, optimizer_state={"momentum": 1024, "exp_avg": 512}, optimizer_estimate=1536)
    append(run.metrics_file, step=4, attempt=1, **{"loss/mtp": 3.25})
    append(run.events_file, kind="fire", step=2, attempt=1, error=1e-4)
    rows = [line.split(maxsplit=1) for line in nano("runs", "show", "a-run").out.splitlines()]
    assert ["techniques", "mtp.horizon 2"] in rows and ["MTP", "3.250"] in rows
    assert ["optimizer", "1.50 KiB: momentum 1.00 KiB, exp_avg 512 B; estimated 1.50 KiB"] in rows
    assert ["FIRE", "step 2: 1 matrix within 1.00e-04 of orthogonal"] in rows
    data = nano("runs", "show", "a-run", "--json").data
    assert data["techniques"] == {"mtp.horizon": "2"} and data["run"]["optimizer_state"]["momentum"] == 1024
    assert data["fired"] == [{"step": 2, "matrices": 1, "error": 1e-4}]


def append(file: Path, **record: object) -> None:
    writer = RecordWriter(file)
    writer.write(record)
    writer.close()
