"""A log is followed as safe lines, whatever was printed into it."""

from __future__ import annotations

import os
from pathlib import Path

from nanocore.runs.log import MAX_SHOWN, LogTail, cap_log, last_lines


def test_lines_arrive_safe_and_indented(tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    log.write_bytes(b"a\r\n  indented\n\tb \x1b[2J\n\xff\nunfinished")
    tail = LogTail(log)
    assert tail.read() == ["a", "  indented", "    b ␛[2J", "\ufffd"]
    with log.open("ab") as file:
        file.write(b" line\n")
    assert tail.read() == ["unfinished line"]


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    log.write_bytes(b"x" * 10_000 + b"\n")
    assert LogTail(log).read() == ["x" * MAX_SHOWN]


def test_the_end_alone_can_be_followed(tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    log.write_text("".join(f"line {n}\n" for n in range(10_000)))
    assert LogTail(log, keep=100).read()[-1] == "line 9999"
    assert last_lines(log, 3) == ["line 9997", "line 9998", "line 9999"]
    assert last_lines(tmp_path / "none") == []


def test_a_flooded_log_is_cut_to_its_end_and_its_reader_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"before\n" * 100)
    tail = LogTail(log)
    tail.read()
    assert not cap_log(log, limit=10_000)
    assert cap_log(log, limit=100)
    os.write(descriptor, b"after\n")
    assert tail.read() == ["before"] * 7 + ["after"]  # whole lines within half of the limit
    assert tail.restarted
    os.close(descriptor)
