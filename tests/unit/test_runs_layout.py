"""Names are safe path components, and the root of all runs is chosen as documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.errors import UsageError
from nanocore.runs.layout import RunFolder, cache_root, check_name, find_run, list_runs, run_root, valid_name
from tests.run_helpers import make_run

HOSTILE = [
    "", ".", "..", "../x", "/etc/x", "a/../../b", "a/b", "-rf", "~", ".hidden", "a\0b", "CON", "Upper", "a..b", "a b",
    "x" * 65, "x" * 300, "a\u202eb", "a\n", "a\nb", "$(x)", "`x`", "a;b", "é", "a\\b", "*", "[red]a",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused_everywhere(name: str, tmp_path: Path) -> None:
    assert not valid_name(name)
    for use in (lambda: check_name(name), lambda: find_run(tmp_path, name)):
        with pytest.raises(UsageError) as caught:
            use()
        assert "\n" not in str(caught.value)
        assert "\u202e" not in str(caught.value)


@pytest.mark.parametrize("name", ["a", "0", "tiny-cpu-0007", "a.b_c-d", "x" * 64])
def test_plain_names_are_allowed(name: str) -> None:
    assert check_name(name) == name


def test_the_root_is_the_option_then_the_variable_then_here_then_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert run_root() == tmp_path / "data" / "nanoconsole" / "runs"
    (tmp_path / "runs").mkdir()
    assert run_root() == tmp_path / "runs"
    monkeypatch.setenv("NANOCONSOLE_RUNS", "elsewhere")
    assert run_root() == tmp_path / "elsewhere"
    assert run_root(Path("given")) == tmp_path / "given"


def test_the_cache_follows_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))
    assert cache_root() == tmp_path / "cache"


def test_only_whole_runs_are_listed(tmp_path: Path) -> None:
    run = make_run(tmp_path, "real")
    root = run.path.parent
    (root / "half-made").mkdir()
    (root / "Not-A-Name").mkdir()
    (root / "file").write_text("")
    (root / "link").symlink_to(run.path)
    assert list_runs(root) == [run]
    assert list_runs(tmp_path / "nowhere") == []


def test_a_wrong_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    run = make_run(tmp_path, "tiny-cpu-0001")
    with pytest.raises(UsageError, match=r"did you mean tiny-cpu-0001\?"):
        find_run(run.path.parent, "tiny-cpu-001")
    assert find_run(run.path.parent, "tiny-cpu-0001") == run


def test_a_linked_run_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, "real")
    (run.path.parent / "link").symlink_to(run.path)
    with pytest.raises(UsageError, match="symbolic link"):
        find_run(run.path.parent, "link")


def test_every_path_lies_inside_the_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "r")
    names = [name for name, kind in vars(RunFolder).items() if isinstance(kind, property) and name != "name"]
    for name in names:
        value = getattr(run, name)
        for path in value if isinstance(value, tuple) else (value,):
            assert path.is_relative_to(run.path), name
