"""A standard output that is full, closed or read by nobody: one line or none, never a trace, a documented exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.errors import EXIT_CODES

LARGE = ("config", "show", "tiny-cpu", "--comments")  # more than a buffer holds
SMALL = ("--version",)  # less than one, so that nothing is written before the end


def console(tmp_path: Path, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`nanoconsole ARGUMENTS` with its streams redirected by a shell."""
    command = f'exec "$0" -m nanoconsole "$@" {redirection}'
    environment = {**os.environ, "NANOCONSOLE_RUNS": str(tmp_path)}
    return subprocess.run(
        ["sh", "-c", command, sys.executable, *arguments], env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("arguments", "redirection", "reason"),
    [
        (LARGE, ">/dev/full", "No space left on device; free some space"),
        (SMALL, ">/dev/full", "No space left on device; free some space"),
        (LARGE, ">&-", "Bad file descriptor"),
    ],
    ids=["large-full", "small-full", "closed"],
)
def test_output_that_cannot_be_written_is_one_line_and_exit_6(
    tmp_path: Path, arguments: tuple[str, ...], redirection: str, reason: str
) -> None:
    ended = console(tmp_path, redirection, *arguments)
    assert (ended.returncode, ended.stderr) == (6, f"nanoconsole: cannot write to standard output: {reason}\n")
    assert "output cannot be written" in EXIT_CODES[6]
    assert not list(tmp_path.rglob("traces"))


def test_a_reader_that_left_ends_the_command_in_silence_with_exit_141(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "nanoconsole", *LARGE]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")
    assert 141 in EXIT_CODES


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_talk_that_cannot_be_written_ends_nothing_and_stays_out_of_the_data(tmp_path: Path, redirection: str) -> None:
    ended = console(tmp_path, redirection, "runs", "list")  # says on stderr that there are none
    assert (ended.returncode, ended.stdout) == (0, "")


def test_a_closed_input_is_no_terminal(tmp_path: Path) -> None:
    ended = console(tmp_path, "<&-")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "needs a terminal" in ended.stderr
