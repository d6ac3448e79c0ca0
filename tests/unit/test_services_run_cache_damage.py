"""A cache of ended runs that is damaged, forged or another's is ignored: the runs are read."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from nanoconsole.services import run_cache
from nanoconsole.services.run_cache import Kept, RunCache
from nanocore.runs.layout import run_lists
from tests import ended_runs
from tests.ended_runs import ENDED, UNENDED, kept_file, listing

original, root = ended_runs.original, ended_runs.root


def _sealed(kept: dict[str, object]) -> bytes:
    """A whole cache file with these entries, as somebody else could write it."""
    body = msgspec.msgpack.encode(kept)
    return run_cache._HEAD + hashlib.sha256(body).digest() + body


def _kept(root: Path, name: str) -> Kept:
    cache = RunCache(root)
    return msgspec.msgpack.decode(cache._index[name], type=Kept)


def _older_version(raw: bytes) -> bytes:
    return raw.replace(b"list 1\n", b"list 0\n", 1)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: b"",
    "cut in the head": lambda raw: raw[:30],
    "cut": lambda raw: raw[:-1],
    "longer": lambda raw: raw + b"\0",
    "flipped": lambda raw: raw[:200] + bytes([raw[200] ^ 1]) + raw[201:],
    "another version": _older_version,
    "no map": lambda raw: _sealed(["finished"]),  # type: ignore[arg-type]
    "other fields": lambda raw: _sealed({"finished": {"stamps": 1}}),
    "nested": lambda raw: _sealed({"finished": b"\x91" * 100_000}),
    "garbage": lambda raw: bytes(range(256)) * 100,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_ignored_and_made_anew(root: Path, damage: str) -> None:
    first, _ = listing(root)
    file = kept_file()
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert listing(root) == (first, sorted([*ENDED, *UNENDED]))
    assert listing(root) == (first, UNENDED)


FORGERIES: dict[str, Callable[[Kept], Kept]] = {
    "an escape sequence": lambda kept: _with(kept, message="\x1b[2J"),
    "two lines": lambda kept: _with(kept, preset="a\nb"),
    "at work": lambda kept: _with(kept, state="running", alive=True),
    "another run": lambda kept: _with(kept, name="stopped"),
    "no time": lambda kept: _with(kept, created=math.nan),
    "a step before the first": lambda kept: _with(kept, step=-1),
    "a metric's name": lambda kept: msgspec.structs.replace(
        kept, measured=replace(kept.measured, newest={"\u202e": 1.0})
    ),
    "a tag": lambda kept: msgspec.structs.replace(kept, notes=replace(kept.notes, tags=("\x9b31m",))),
}


def _with(kept: Kept, **facts: object) -> Kept:
    return msgspec.structs.replace(kept, summary=replace(kept.summary, **facts))  # type: ignore[arg-type]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_entry_that_no_console_wrote_is_not_shown(root: Path, forgery: str) -> None:
    first, _ = listing(root)
    entry = _kept(root, "finished")
    kept_file().write_bytes(_sealed({"finished": entry}))
    assert "finished" not in listing(root)[1]
    kept_file().write_bytes(_sealed({"finished": FORGERIES[forgery](entry)}))
    assert listing(root) == (first, sorted([*ENDED, *UNENDED]))


def test_a_file_that_others_may_write_is_not_believed(root: Path, tmp_path: Path) -> None:
    listing(root)
    kept_file().chmod(0o666)
    assert len(listing(root)[1]) == 5
    assert listing(root)[1] == UNENDED
    elsewhere = tmp_path / "elsewhere"
    kept_file().rename(elsewhere)
    (run_lists() / run_cache.RunCache(root)._path.name).symlink_to(elsewhere)
    assert len(listing(root)[1]) == 5
    assert not kept_file().is_symlink()
