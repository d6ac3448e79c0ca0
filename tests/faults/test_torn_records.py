"""Record files that were torn, filled with garbage, truncated or replaced under their reader."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocore.runs.records import RecordWriter, Tail, read_all
from tests.run_helpers import exit_code, fork, short


def _steps(records: list[dict[str, object]]) -> list[object]:
    return [record.get("step") for record in records]


def test_a_torn_last_line_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    RecordWriter(path).write({"step": 1})
    with path.open("ab") as file:
        file.write(b'{"schema":1,"step":2,"lo')
    tail = Tail(path)
    assert _steps(tail.read()) == [1]
    RecordWriter(path).write({"step": 3})
    assert _steps(tail.read()) == [3]
    assert tail.skipped == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 4096,
        b"\xff\xfe\xff",
        b"[1,2]\n",
        b"null\n",
        b'{"step":',
        b"{" * 100_000,
        b'"\\ud800"',
        b"NaN\n",
        b"1e999",
    ],
    ids=short,
)
def test_garbage_is_skipped_and_counted_and_reading_goes_on(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "m.jsonl"
    RecordWriter(path).write({"step": 1})
    with path.open("ab") as file:
        file.write(garbage)
    writer = RecordWriter(path)
    writer.write({"step": 2})
    writer.write({"step": 3})
    tail = Tail(path)
    assert _steps(tail.read()) == [1, 2, 3]
    assert tail.skipped == 1


def test_a_line_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    path, line = tmp_path / "m.jsonl", b'{"step":1,"message":"h\xc3\xa9"}\n'
    tail = Tail(path)
    for end in range(len(line)):
        path.write_bytes(line[:end])
        assert tail.read() == []
    path.write_bytes(line)
    assert _steps(tail.read()) == [1]
    assert tail.skipped == 0


def test_a_truncated_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    writer, tail = RecordWriter(path), Tail(path)
    for step in range(100):
        writer.write({"step": step})
    tail.read()
    os.truncate(path, 0)
    writer.write({"step": 7})
    assert _steps(tail.read()) == [7]
    assert tail.restarted
    assert tail.read() == []
    assert not tail.restarted


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    tail = Tail(path)
    RecordWriter(path).write({"step": 1})
    tail.read()
    RecordWriter(tmp_path / "new").write({"step": 2})
    (tmp_path / "new").replace(path)
    assert _steps(tail.read()) == [2]
    assert tail.restarted


def test_a_file_rewritten_longer_than_before_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    tail = Tail(path)
    path.write_bytes(b'{"step":1}\n{"step":2}\n')
    tail.read()
    path.write_bytes(b'{"step":11}\n{"step":12}\n{"step":13}\n')  # same inode
    assert _steps(tail.read()) == [11, 12, 13]
    assert tail.restarted


def test_a_file_that_vanishes_and_returns(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    tail = Tail(path)
    RecordWriter(path).write({"step": 1})
    tail.read()
    path.unlink()
    assert tail.read() == []
    assert tail.restarted
    RecordWriter(path).write({"step": 2})
    assert _steps(tail.read()) == [2]


def test_a_hundred_megabytes_without_a_newline_need_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    RecordWriter(path).write({"step": 1})
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + 100 * 1024 * 1024)  # a hole: NULs without a newline
    RecordWriter(path).write({"step": 2})
    found: list[int] = []

    def read() -> None:
        limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (16 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        tail = Tail(path)
        found.extend(_steps(tail.read()))  # type: ignore[arg-type]
        while tail.pending:
            found.extend(_steps(tail.read()))  # type: ignore[arg-type]
        os._exit(0 if found == [1, 2] and tail.skipped == 1 else 1)

    assert exit_code(fork(read)) == 0


@given(
    st.lists(st.one_of(st.just(b'{"step":1}\n'), st.binary(max_size=12), st.sampled_from([b"\n", b"{", b'"', b"\\"]))),
    st.integers(1, 40),
)
def test_reading_in_any_pieces_gives_what_reading_at_once_gives(pieces: list[bytes], size: int) -> None:
    path = Path(os.environ["HOME"] + "-records")
    path.write_bytes(b"".join(pieces) + b"\n")
    tail, records = Tail(path), []
    for _ in range(200):
        records += tail.read(max_bytes=size)
        if not tail.pending:
            break
    assert records == read_all(path)


def test_three_writers_tear_no_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"

    def write() -> None:
        writer = RecordWriter(path)
        for step in range(1000):
            writer.write({"step": step, "text": "x" * 300})

    assert [exit_code(child) for child in [fork(write) for _ in range(3)]] == [0, 0, 0]
    tail = Tail(path)
    count = len(tail.read())
    while tail.pending:
        count += len(tail.read())
    assert (count, tail.skipped) == (3000, 0)


def test_a_full_disk_loses_records_but_not_the_training(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").symlink_to("/dev/full")
    writer = RecordWriter(tmp_path / "m.jsonl")
    assert not writer.write({"step": 1})
    assert not writer.write({"step": 2})
    assert (writer.lost, writer.failure) == (2, "No space left on device")


def test_a_record_cut_by_a_full_disk_is_closed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"

    def write() -> None:
        writer = RecordWriter(path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, resource.RLIM_INFINITY))
        results = [writer.write({"step": 1}), writer.write({"step": 2, "text": "x" * 50})]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        results.append(writer.write({"step": 3}))
        os._exit(0 if results == [True, False, True] and writer.lost == 1 else 1)

    assert exit_code(fork(write)) == 0
    tail = Tail(path)
    assert _steps(tail.read()) == [1, 3]
    assert tail.skipped == 1
