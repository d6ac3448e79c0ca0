"""Every test of the screens: no animation, steady meters and estimates, a run root of its own called `runs`."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import constants

from tests.tui.quick import be_quick
from tests.tui.scenes import SteadyMeters


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setattr("nanoconsole.services.watched.MeterReader", SteadyMeters)
    monkeypatch.setattr("nanoconsole.services.alert_guard.free_bytes", lambda root: 40.0 * 2**30)
    monkeypatch.setattr("nanocore.config.machine.cpu_multiplies_bfloat16", lambda: False)  # estimates as of float32
    be_quick(monkeypatch)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty run root; relative, so that it looks the same everywhere."""
    monkeypatch.chdir(tmp_path)
    path = Path("runs")
    path.mkdir()
    return path


PRESETS = {
    "small": ('description = "A small one, for tests."', "d_model = 64\nn_layers = 2\nd_ff = 192", "steps = 50"),
    "tiny-cpu": ('description = "A ternary model for two CPU cores."', "d_model = 256\nn_layers = 4", "steps = 600"),
}


@pytest.fixture
def presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two presets of our own, so that pictures do not change when the program's presets do."""
    folder = tmp_path / "built-in"
    folder.mkdir()
    for name, (about, model, training) in PRESETS.items():
        text = f"# kept comment\n[about]\n{about}\n\n[model]\n{model}\n\n[training]\n{training}\n"
        (folder / f"{name}.toml").write_text(text)
    monkeypatch.setattr("nanocore.config.presets.files", lambda package: folder)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs a trainer would have been started for."""
    names: list[str] = []
    monkeypatch.setattr("nanocore.runs.spawn.spawn_trainer", lambda run, **options: names.append(run.name) or 1)
    return names
