"""Shared by all tests: private folders for every test, and the time each folder of tests took."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

# Modules that ask for the native kernels while they are imported may compile them: never into the user's cache.
os.environ["NANOCONSOLE_CACHE"] = str(Path(__file__).parents[1] / "build" / "test-cache")

# Seconds of work (summed over workers) a folder may take in the default suite on two cores.
SHARES = {"unit": 190, "integration": 150, "tui": 160, "validation": 25, "faults": 70}  # two cores: half by the clock
_spent: dict[str, float] = defaultdict(float)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names of folders for `private_home`, counted here: `mktemp` looks at all folders there are to number the next."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def private_home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's folders."""
    home = next(homes)
    home.mkdir()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    for name in ("NANOCONSOLE_RUNS", "NANOCONSOLE_CACHE", "NANO_FAIL"):
        monkeypatch.delenv(name, raising=False)
    return home


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _spent[Path(report.nodeid.split("::")[0]).parts[1]] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _spent or hasattr(terminalreporter.config, "workerinput"):
        return
    terminalreporter.section("seconds of work by folder")
    for folder, seconds in sorted(_spent.items()):
        share = SHARES.get(folder)
        mark = "  over its share: mark the slowest as slow" if share and seconds > share else ""
        terminalreporter.write_line(f"{folder:<14} {seconds:6.1f} s of {share or '-'}{mark}")
