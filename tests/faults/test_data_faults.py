"""What may go wrong while a corpus is prepared: kills, rivals, damage, full disks, changing sources."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nanocore.config.sections import Data
from nanocore.data import cache as cache_module
from nanocore.data.prepare import Corpus, prepare
from nanocore.errors import DataError, ResourceError
from tests.quick import quick

CHILD = """
import json, os, signal, sys
from pathlib import Path
from nanocore.config.sections import Data
from nanocore.data.prepare import prepare

settings, cache, deadly = json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def progress(phase, done, total):
    if f"{phase} {'end' if done and done == total else 'begin'}" == deadly:
        os.kill(os.getpid(), signal.SIGKILL)

print(prepare(Data.model_validate(settings), cache=cache, progress=progress).key)
"""


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    (tmp_path / "in").mkdir()
    for number in range(40):
        (tmp_path / f"in/{number:02}.txt").write_text(f"document {number} says {number * number}\n" * 20)
    return {"sources": [{"kind": "files", "paths": [f"{tmp_path}/in/*.txt"]}], "validation_fraction": 0.2}


def child(settings: dict[str, object], cache: Path, deadly: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, json.dumps(settings), str(cache), deadly]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def prepared(settings: dict[str, object], cache: Path) -> tuple[Corpus, list[str]]:
    heard: list[str] = []
    corpus = prepare(
        Data.model_validate(settings), cache=cache, progress=lambda phase, done, total: heard.append(phase)
    )
    return corpus, heard


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "corpora").iterdir())


@pytest.mark.parametrize("deadly", quick(("encode begin", "encode end"), "encode end"))
def test_a_kill_leaves_nothing_half_written(tmp_path: Path, settings: dict[str, object], deadly: str) -> None:
    cache = tmp_path / "cache"
    assert child(settings, cache, deadly).wait() == -9
    assert not (cache / "known").exists() or not list((cache / "known").iterdir())
    left = entries(cache)
    assert left and all(name.startswith(".") for name in left)
    corpus, heard = prepared(settings, cache)
    assert "encode" in heard
    assert entries(cache) == [corpus.key]  # leftovers are swept
    assert corpus.facts["documents"] == 40


def test_rivals_agree(tmp_path: Path, settings: dict[str, object]) -> None:
    rivals = [child(settings, tmp_path / "cache") for _ in range(2)]
    keys = {rival.communicate()[0].strip() for rival in rivals}
    assert [rival.returncode for rival in rivals] == [0, 0]
    assert entries(tmp_path / "cache") == list(keys)
    assert prepared(settings, tmp_path / "cache")[1] == []


def test_the_folder_of_a_living_builder_is_left_alone(tmp_path: Path, settings: dict[str, object]) -> None:
    alive, dead = (tmp_path / "cache/corpora" / f".abc.tmp-{name}" for name in ("1-alive", "2-dead"))
    for folder in (alive, dead):
        folder.mkdir(parents=True)
        (folder / "train-0.tokens").write_bytes(b"unfinished")
    lock = os.open(alive, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    corpus, _ = prepared(settings, tmp_path / "cache")
    assert entries(tmp_path / "cache") == [alive.name, corpus.key]
    os.close(lock)


def test_a_file_system_without_locks_prepares_data_too_and_sweeps_by_age(
    tmp_path: Path, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")  # as network file systems do for folders

    monkeypatch.setattr(fcntl, "flock", refuse)
    young, old = (tmp_path / "cache/corpora" / f".abc.tmp-{name}" for name in ("1-young", "2-old"))
    for folder in (young, old):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    corpus, _ = prepared(settings, tmp_path / "cache")
    assert entries(tmp_path / "cache") == [young.name, corpus.key]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated tokens": lambda folder: os.truncate(folder / "train-0.tokens", 100),
    "empty offsets": lambda folder: os.truncate(folder / "train-0.offsets", 0),
    "flipped bit": lambda folder: flip(folder / "validation.tokens"),
    "zeroed block": lambda folder: (folder / "train-0.tokens").write_bytes(
        bytes((folder / "train-0.tokens").stat().st_size)
    ),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "torn meta": lambda folder: os.truncate(folder / "meta.json", 50),
    "meta of another kind": lambda folder: (folder / "meta.json").write_text('{"schema": 1, "files": [], "facts": 3}'),
    "meta that lists no file": lambda folder: (folder / "meta.json").write_text(
        json.dumps({**json.loads((folder / "meta.json").read_text()), "files": {}})
    ),
    "newer meta": lambda folder: (folder / "meta.json").write_text(
        (folder / "meta.json").read_text().replace('"schema": 1', '"schema": 999')
    ),
}


def flip(path: Path, place: int | None = None) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed_and_repaired(tmp_path: Path, settings: dict[str, object], damage: str) -> None:
    cache = tmp_path / "cache"
    first, _ = prepared(settings, cache)
    tokens, facts = first.train[0].tokens.tolist(), first.facts
    DAMAGE[damage](cache / "corpora" / first.key)
    again, heard = prepared(settings, cache)
    assert "encode" in heard
    assert again.train[0].tokens.tolist() == tokens
    assert (again.key, again.facts) == (first.key, facts)
    assert entries(cache) == [first.key]
    assert prepared(settings, cache)[1] == []


@pytest.mark.parametrize(("blocks", "places"), [(256, (0, 200, 300, -1)), (4, (0, -1))], ids=["whole", "in samples"])
def test_a_flip_is_noticed_in_any_block_of_a_small_file_and_at_both_ends_of_a_large_one(
    tmp_path: Path, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch, blocks: int, places: tuple[int, ...]
) -> None:
    monkeypatch.setattr(cache_module, "BLOCK", 128)
    monkeypatch.setattr(cache_module, "BLOCKS", blocks)
    corpus, _ = prepared(settings, tmp_path)
    tokens = tmp_path / "corpora" / corpus.key / "train-0.tokens"
    sound = tokens.read_bytes()
    assert 5 * 128 < len(sound) < 256 * 128
    for place in places:
        flip(tokens, place)
        assert "encode" in prepared(settings, tmp_path)[1], place
        assert tokens.read_bytes() == sound


def test_a_torn_memory_of_the_sources_only_costs_a_scan(tmp_path: Path, settings: dict[str, object]) -> None:
    prepared(settings, tmp_path)
    for content in (b"", b"{", b"[]", b'{"key": 3}', b'{"key": "../../x", "skipped_files": 0, "skipped": []}'):
        next((tmp_path / "known").iterdir()).write_bytes(content)
        assert prepared(settings, tmp_path)[1].count("encode") == 0


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, settings: dict[str, object]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(
            ResourceError, match=r"corpora: cannot keep prepared data: File too large; raise the limit of file sizes"
        ):
            prepared(settings, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert entries(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path, settings: dict[str, object]) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(ResourceError, match="cannot keep prepared data"):
        prepared(settings, tmp_path / "cache")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "grows": (lambda path: path.write_text(path.read_text() + "more\n"), "changed while it was being prepared"),
    "vanishes": (lambda path: path.unlink(), "05.txt: vanished while it was being read"),
    "turns binary": (lambda path: path.write_bytes(b"\0"), "changed while it was being prepared"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_sources_that_change_meanwhile_are_refused(tmp_path: Path, settings: dict[str, object], change: str) -> None:
    act, message = CHANGES[change]

    def progress(phase: str, done: int, total: int) -> None:
        if phase == "tokenizer" and done:
            act(tmp_path / "in/05.txt")

    with pytest.raises(DataError, match=message):
        prepare(Data.model_validate(settings), cache=tmp_path / "cache", progress=progress)
    assert entries(tmp_path / "cache") == []
    assert prepared(settings, tmp_path / "cache")[0].facts["documents"] in (39, 40)
