"""A file read backwards has the lines it has read forwards."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanocore.runs.backward import BackwardReader
from nanocore.runs.lines import LineReader

LINE = st.integers(0, 40).map(lambda length: b"x" * length + b"\n")


@given(st.lists(LINE, max_size=30), st.sampled_from([b"", b"torn", b"y" * 50]), st.integers(1, 60))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ways_meet(tmp_path: Path, lines: list[bytes], rest: bytes, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"".join(lines) + rest)
    older = BackwardReader(path, max_line=25)
    newer = LineReader(path, max_line=25)
    newer.skip_to(older.end)
    blocks = []
    while older.pending:
        blocks.append(older.read(size))
    later = newer.read()
    assert not newer.restarted
    found = b"".join([*reversed(blocks), later])
    short = [line for line in found.splitlines(keepends=True) if len(line) <= 25]  # longer ones are no lines
    assert short == [line for line in lines if len(line) <= 25]
    assert all(not block or block.endswith(b"\n") for block in blocks)


def test_a_file_that_was_replaced_is_read_no_further(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old\n" * 100)
    reader = BackwardReader(path)
    assert reader.read(20) == b"old\n" * 4
    (tmp_path / "other").write_bytes(b"new\n" * 100)
    (tmp_path / "other").replace(path)
    assert reader.read(20) == b""
    assert not reader.pending


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert not BackwardReader(tmp_path / "none").pending
