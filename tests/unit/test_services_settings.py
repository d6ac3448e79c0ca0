"""The settings file: what is read of it, what is told of its faults, and that changing a key changes nothing else."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nanoconsole.services.alert_rules import BY_NAME
from nanoconsole.services.settings import Settings, load, save, settings_file
from nanoconsole.services.settings_schema import SETTINGS
from nanocore.errors import ConfigError, UsageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def read(path: Path, text: str) -> Settings:
    path.write_text(text)
    return load(path)


def test_without_a_file_the_defaults_stand_and_nothing_is_told(path: Path) -> None:
    found = load(path)
    assert found.theme == "nano-dark"
    assert found.interval == 1.0
    assert found.enabled("disk")
    assert found.limit("disk", "below") == 2.0
    assert found.problems == ()


def test_every_default_is_a_value_that_may_be_written() -> None:
    for setting in SETTINGS:
        assert setting.take(setting.default) == setting.default
        assert setting.help.endswith(".")
        assert setting.allowed


def test_what_is_written_is_used(path: Path) -> None:
    found = read(
        path,
        'theme = "nano-light"\nrefresh_hz = 4\nroots = ["/mnt/runs"]\n'
        '[keys]\n"live.pause" = "ctrl+p, F5"\nlive.stop = ["f6"]\n"app.leave" = ""\n'
        '[alerts]\ncommand = ["notify-send", "{text}"]\n'
        '[alerts.loss_spike]\nabove = 9\nactions = ["pause", "bell"]\n[alerts.disk]\nenabled = false\n',
    )
    assert found.problems == ()
    assert (found.theme, found.interval, found.roots) == ("nano-light", 0.25, (Path("/mnt/runs"),))
    assert found.keys == {"live.pause": ("ctrl+p", "F5"), "live.stop": ("f6",), "app.leave": ()}
    assert found.command == ("notify-send", "{text}")
    assert found.limit("loss_spike", "above") == 9.0
    assert found.actions("loss_spike") == ("pause", "bell")
    assert not found.enabled("disk")
    assert found.places["keys.live.pause"] == f"{path}:5"


def test_a_slow_line_is_looked_at_every_two_seconds_at_most(path: Path) -> None:
    assert read(path, "low_bandwidth = true\nrefresh_hz = 10\n").interval == 2.0
    assert read(path, "low_bandwidth = true\nrefresh_hz = 0.1\n").interval == 10.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('theme = "nano-drak"', '1: theme = "nano-drak" is not one of nano-dark, '),
        ('theme = "nano-drak"', "did you mean nano-dark?"),
        ("refresh_hz = 100", "1: refresh_hz = 100 is not a number from 0.1 to 10"),
        ("\nrefresh_hz = true", "2: refresh_hz = true is not a number"),
        ("refresh_hz = nan", "1: refresh_hz = nan is not a number"),
        ("bell = 1", "1: bell = 1 is not true or false"),
        ("rots = []", "1: rots is no setting; did you mean roots?"),
        ("roots = [1]", "1: roots = [1] is not a list"),
        ("[alerts.loss_spike]\nabove = 0", "2: alerts.loss_spike.above = 0 is not a number from 2 to 1000"),
        ('[alerts.disk]\nactions = ["explode"]', "is not a list of notify, bell, command, checkpoint, pause"),
        ("[alerts.nonsense]\nabove = 1", "1: alerts.nonsense is no setting"),
        ("[keys]\n'live.pause' = 3", "2: keys.live.pause = 3 is neither a key"),
        ("alerts = 3", "1: alerts is no setting"),
        ("keys = 3", "1: keys is no setting"),
        ('"\x1b[31m" = 1'.replace("\x1b", "\\u001b"), "␛[31m is no setting"),
    ],
)
def test_a_fault_is_one_line_with_its_place_and_the_rest_applies(path: Path, text: str, told: str) -> None:
    found = read(path, f"{text}\n")
    assert len(found.problems) == 1
    assert told in found.problems[0]
    assert found.problems[0].startswith(f"{path}:")
    assert "\n" not in found.problems[0]
    assert "\x1b" not in found.problems[0]
    good = read(path, f"glyphs = 'ascii'\n{text}\n")
    assert good.glyphs == "ascii"
    assert good.theme == "nano-dark"


@pytest.mark.parametrize(
    "raw",
    [b"theme = ", b"\xff\xfe\x00", b"[" * 5000, b"x = " + b"9" * 5000, b"a" * (2 << 20), b"[a]\n[a]\n"],
    ids=["half", "binary", "deep", "digits", "huge", "twice"],
)
def test_a_broken_file_is_told_and_never_written_over(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    found = load(path)
    assert found.theme == "nano-dark"
    assert len(found.problems) == 1
    assert "the defaults are used" in found.problems[0]
    with pytest.raises(ConfigError, match=re.escape(f"{path}:")):
        save("theme", "nano-light", path)
    assert path.read_bytes() == raw


def test_a_folder_or_a_pipe_in_its_place_is_told_without_waiting(path: Path) -> None:
    path.mkdir()
    assert "cannot be read" in load(path).problems[0]
    path.rmdir()
    os.mkfifo(path)
    assert "cannot be read" in load(path).problems[0]


def test_a_change_keeps_comments_order_and_all_other_keys(path: Path) -> None:
    text = '# mine\ntheme = "nano-safe"  # for my eyes\n\n[keys]\n"live.pause" = "f5"\n\n[alerts.disk]\nbelow = 5.0\n'
    path.write_text(text)
    found = save("alerts.disk.below", 7.5, path)
    assert found.limit("disk", "below") == 7.5
    assert path.read_text() == text.replace("5.0", "7.5")
    save("alerts.loss_spike.enabled", False, path)
    save("refresh_hz", 2.0, path)
    again = load(path)
    assert again.problems == ()
    assert (again.theme, again.interval, again.enabled("loss_spike")) == ("nano-safe", 0.5, False)
    assert again.keys == {"live.pause": ("f5",)}
    assert path.read_text().startswith('# mine\ntheme = "nano-safe"  # for my eyes\n')


def test_changes_of_several_threads_are_all_kept(path: Path) -> None:
    keys = [f"alerts.{name}.enabled" for name in BY_NAME]
    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(lambda key: save(key, False, path), keys))
    found = load(path)
    assert not any(found.values[key] for key in keys)
    assert found.problems == ()


def test_the_first_change_makes_the_file_in_the_users_folder(private_home: Path) -> None:
    save("roots", ("/a", "/b"))
    assert load().roots == (Path("/a"), Path("/b"))
    assert settings_file().is_relative_to(private_home)
    assert [entry.name for entry in settings_file().parent.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize(("key", "value"), [("theme", "pink"), ("refresh_hz", 0.0), ("thme", "nano-dark")])
def test_what_may_not_be_set_is_refused_and_nothing_is_written(path: Path, key: str, value: object) -> None:
    with pytest.raises(UsageError):
        save(key, value, path)  # type: ignore[arg-type]
    assert not path.exists()


@pytest.mark.parametrize("result", ["", 'theme = "nano-light"\nbell = false\n', "theme = "])
def test_an_edit_that_would_change_anything_else_is_not_written(
    path: Path, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("bell = true\n")
    monkeypatch.setattr("tomlkit.dumps", lambda document: result)
    with pytest.raises(ConfigError):
        save("theme", "nano-light", path)
    assert path.read_text() == "bell = true\n"


def test_a_file_that_cannot_be_edited_in_place_is_left_alone(path: Path) -> None:
    text = "alerts = { disk = { below = 3 } }\n"
    path.write_text(text)
    try:
        found = save("alerts.disk.below", 4.0, path)
    except ConfigError:
        assert path.read_text() == text
    else:
        assert found.limit("disk", "below") == 4.0
