"""Several consoles, launches, imports and deletions at once in one folder of runs: each gets its own, or one clear error."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest

from nanoconsole.services.run_index import RunIndex, read_list, with_configs
from nanoconsole.services.watched import WatchedRun
from nanocore.config.schema import Config
from nanocore.errors import NanoError, UsageError
from nanocore.runs import create
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.integrity import verify_run
from nanocore.runs.layout import RunFolder, list_runs, private
from nanocore.runs.liveness import observe
from nanocore.runs.pack import pack_run
from nanocore.runs.records import Tail
from nanocore.runs.summary import export_json, summarize
from nanocore.runs.trash import discard, trash_dir
from nanocore.runs.unpack import unpack_run
from tests.command_line import start_console
from tests.run_helpers import exit_code, fork, make_run, status_of_me, wait_for
from tests.whole_run import contents, whole_run

CONSOLES = 6
WON, REFUSED = 0, 2


def race(act: Callable[[], object], tmp_path: Path, count: int = CONSOLES) -> list[int]:
    """Exit codes of `count` processes that act at the same moment: 0, or that of the one clear error."""
    start = tmp_path / "start"

    def run() -> None:
        while not start.exists():
            pass
        try:
            act()
        except NanoError as error:
            os._exit(error.exit_code if str(error).count("\n") == 0 else 98)

    children = [fork(run) for _ in range(count)]
    start.touch()
    codes = [exit_code(child) for child in children]
    start.unlink()
    return sorted(codes)


def test_launches_without_a_name_each_get_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, numbered = tmp_path / "runs", create._numbered

    def at_once(root: Path, beginning: str) -> Iterator[Path]:
        """All have chosen the same number before the first of them claims it."""
        candidates = list(islice(numbered(root, beginning), 2 * CONSOLES))
        (tmp_path / f"ready-{os.getpid()}").touch()
        wait_for(lambda: len(list(tmp_path.glob("ready-*"))) == CONSOLES)
        return iter(candidates)

    monkeypatch.setattr(create, "_numbered", at_once)
    assert race(lambda: create_run(root, Config(), preset="tiny-cpu"), tmp_path) == [WON] * CONSOLES
    assert [run.name for run in list_runs(root)] == [f"tiny-cpu-{number:04d}" for number in range(1, CONSOLES + 1)]
    assert all("broken" not in {each.state for each in verify_run(run)} for run in list_runs(root))


def test_of_those_that_want_one_name_one_gets_it(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    assert race(lambda: create_run(root, Config(), name="mine"), tmp_path) == [WON] + [REFUSED] * (CONSOLES - 1)
    assert {each.state for each in verify_run(RunFolder(root / "mine"))} == {"whole"}


def test_an_import_and_a_launch_of_one_name_never_mix(tmp_path: Path) -> None:
    whole = whole_run(tmp_path / "from", "mine")
    file, root = pack_run(whole, tmp_path / "mine.tar").path, tmp_path / "runs"

    def either() -> None:
        create_run(root, Config(), name="mine") if os.getpid() % 2 else unpack_run(root, file)

    assert race(either, tmp_path) == [WON] + [REFUSED] * (CONSOLES - 1)
    found = contents(RunFolder(root / "mine"))
    assert found.keys() in ({"config.toml", "run.json"}, contents(whole).keys())
    home = private(root) / "incoming"
    assert not home.exists() or list(home.iterdir()) == []


def test_a_run_deleted_by_several_at_once_is_in_the_trash_once(tmp_path: Path) -> None:
    run = whole_run(tmp_path / "runs")
    before = contents(run)
    codes = race(lambda: discard(run.path.parent, run), tmp_path)
    assert codes[0] == WON and set(codes) <= {0, 2, 6, 75} and codes.count(WON) == 1
    (gone,) = [path for path in trash_dir(run.path.parent).iterdir() if any(path.iterdir())]
    assert contents(RunFolder(gone)) == before


def look(run: RunFolder) -> None:
    """Everything that a console reads of a run."""
    list_runs(run.path.parent)
    with_configs(read_list(run.path.parent))
    observe(run), summarize(run), export_json(run), list(verify_run(run))


@pytest.mark.parametrize("way", ["removed", "moved away", "emptied file by file"])
def test_a_folder_that_vanishes_under_its_readers_harms_none_of_them(tmp_path: Path, way: str) -> None:
    root, spare = tmp_path / "runs", whole_run(tmp_path / "spare", "seen")
    root.mkdir()
    run, stop = RunFolder(root / "seen"), tmp_path / "stop"

    def read() -> None:
        index, watched, tail = RunIndex(root), WatchedRun(run, root), Tail(run.metrics_file)
        while not stop.exists():
            look(run), index.look(), watched.poll(), tail.read()

    readers = [fork(read) for _ in range(2)]
    for number in range(4):
        shutil.copytree(spare.path, run.path)
        time.sleep(0.03)
        if way == "removed":
            shutil.rmtree(run.path)
        elif way == "moved away":
            run.path.rename(tmp_path / f"away-{number}")
        else:
            for path in sorted(run.path.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
            run.path.rmdir()
    stop.touch()
    assert [exit_code(reader) for reader in readers] == [0, 0]
    assert observe(run).state == "gone"


def test_a_watching_console_ends_in_one_line_when_its_run_is_deleted(tmp_path: Path) -> None:
    run = whole_run(tmp_path / "runs", "seen")
    write_document(run.status_file, status_of_me(state="running", phase="training", step=30, steps=50, attempt=1))
    with run.metrics_file.open("ab"):  # as whoever trains has it
        console = start_console(tmp_path / "runs", "watch", "seen")
        try:
            assert console.stdout is not None and console.stdout.readline()
            shutil.rmtree(run.path)
            told = "".join(console.communicate(timeout=20))
        finally:
            with suppress(OSError):
                console.kill()
    assert "Traceback" not in told and "its folder was deleted or moved" in told
    assert console.returncode in (0, 1, 2)


def test_a_name_is_free_again_the_moment_its_run_is_deleted(tmp_path: Path) -> None:
    run = make_run(tmp_path, "again")
    discard(run.path.parent, run)
    assert make_run(tmp_path, "again").run_file.is_file()
    with pytest.raises(UsageError, match="exists already"):
        make_run(tmp_path, "again")
    wait_for(lambda: observe(run).state == "created")
