"""The whole log: found by line number whatever it holds, searched in a process that a bad pattern cannot outlive."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services import log_index, log_pieces, log_scan
from nanoconsole.services.log_index import LogIndex
from nanoconsole.services.log_pieces import lines_of
from nanoconsole.services.log_scan import LogScan, compiled
from nanoconsole.services.log_search import LogSearch
from nanocore.errors import UsageError
from tests.run_helpers import wait_for

STAMP = "2026-11-21 12:00:00"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces and lines so short that a small log has many."""
    monkeypatch.setattr(log_pieces, "PIECE", 256)
    for module in (log_pieces, log_index):
        monkeypatch.setattr(module, "LONGEST", 40)


def indexed(path: Path) -> LogIndex:
    index = LogIndex(path)
    while index.grow():
        pass
    return index


def texts(index: LogIndex) -> list[str]:
    found = index.read(range(index.lines))
    assert list(found) == list(range(index.lines))
    return list(found.values())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "text",
    ["", "one\n", "one", "\n\n\n", "x" * 39 + "\n", "x" * 40 + "\nend\n", "x" * 500 + "\nend\n", "a\n" * 300, ("y" * 41 + "\n") * 40, "z" * 700],
)  # fmt: skip
def test_lines_are_those_of_the_file_in_pieces_where_too_long(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    wanted: list[str] = []
    for line in text.split("\n")[:-1]:
        wanted += [line[start : start + 40] for start in range(0, len(line) + 1, 40)]
    last = text.split("\n")[-1]
    wanted += [last[start : start + 40] for start in range(0, len(last), 40)]
    assert texts(indexed(path)) == wanted
    whole = wanted if text.endswith("\n") or not last or len(last) % 40 == 0 else wanted[:-1]
    assert [hit.text for hit in LogScan(path, None, "").hits()] == whole  # an unfinished line is not searched
    assert [line.decode() for line in lines_of(text.encode())] == wanted


@pytest.mark.usefixtures("small")
def test_a_growing_log_is_gone_on_with_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "log"
    index = indexed(path)
    assert index.lines == 0 and index.problem == ""  # not there yet
    path.write_text("a\nb")
    index.grow()
    assert texts(index) == ["a", "b"] and index.problem == ""
    path.write_text("a\nbc\nd\n")
    index.grow()
    assert texts(index) == ["a", "bc", "d"] and index.beginnings == 0
    path.write_text("new\n")
    index.grow()
    assert texts(index) == ["new"] and index.beginnings == 1


def test_what_is_shown_is_safe_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\x1b]0;evil\x07\xff\n" + b"w" * 5000 + b"\n\x00\n")
    safe, long, zero = texts(indexed(path))
    assert "\x1b" not in safe and "␛]0;evil" in safe
    assert len(long) == 2000 and zero == "␀"


def test_a_step_is_found_in_the_newest_attempt(tmp_path: Path) -> None:
    path = tmp_path / "log"
    first = "".join(f"{STAMP} INFO    step {step}: a\n" for step in range(1, 400))
    path.write_text(first + "".join(f"{STAMP} INFO    step {step}: b\n" for step in range(300, 500)))
    index = indexed(path)
    for step, text in ((250, "step 250: a"), (350, "step 350: b"), (499, "step 499: b")):
        assert index.read([index.line_of_step(step)])[index.line_of_step(step)].endswith(text)
    assert index.line_of_step(9999) == index.lines - 1 and index.line_of_step(1) == 0


LOG = f"""{STAMP} INFO    step 1: fine
{STAMP} WARNING step 2: odd
a library speaks
{STAMP} ERROR   step 3: broke
Traceback (most recent call last):
ValueError: [bold]no[/]
{STAMP} INFO    step 4: fine
"""


@pytest.mark.parametrize(
    ("level", "pattern", "lines"),
    [
        ("", "", [0, 1, 2, 3, 4, 5, 6]),
        ("WARNING", "", [1, 2, 3, 4, 5]),
        ("ERROR", "", [3, 4, 5]),
        ("", "FINE", []),
        ("", "fine$", [0, 6]),
        ("", "valueerror", [5]),
        ("WARNING", "step [12]", [1]),
    ],
)
def test_lines_are_chosen_by_level_and_pattern(level: str, pattern: str, lines: list[int], tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(LOG)
    assert [hit.number for hit in LogScan(path, compiled(pattern), level).hits()] == lines


@pytest.mark.parametrize(("pattern", "words"), [("(", "not a regular expression"), ("x" * 501, "longer than 500")])
def test_a_bad_pattern_is_refused_in_words(pattern: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compiled(pattern)


def test_a_search_tells_matches_follows_the_log_and_goes_round(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(LOG)
    search = LogSearch(path, "step [0-9]", "", lambda: None)
    try:
        wait_for(lambda: search.waits, "the search")
        assert search.matches == 4 and search.rows is None and search.match(1) == (28, 34) and search.match(2) is None
        assert (
            search.next_match(1, 1) == (2, 3)
            and search.next_match(6, 1) == (0, 0)
            and search.next_match(0, -1) == (3, 6)
        )
        with path.open("a") as file:
            file.write(f"{STAMP} INFO    step 5: fine\n")
        wait_for(lambda: search.matches == 5, "the new line")
    finally:
        search.close()
    assert search.problem == ""


@pytest.mark.parametrize(("pattern", "words"), [("(a+)+$", "takes too long"), ("[", "not a regular expression")])
def test_a_pattern_that_takes_for_ever_is_ended(pattern: str, words: str, tmp_path: Path) -> None:
    """The console only waits for news; the kernel ends the process that searches."""
    path = tmp_path / "log"
    path.write_text("a" * 60 + "!\n")
    patient = f"import nanoconsole.services.log_scan as scan; scan.PATIENCE = 0.3; assert {log_scan.PATIENCE} == 5.0; scan.main()"
    search = Impatient(path, pattern, "", lambda: None, program=patient)
    wait_for(lambda: search.problem, "the end of the search")
    assert words in search.problem


class Impatient(LogSearch):
    """Waits less long."""

    def __init__(self, *arguments: object, program: str) -> None:
        self._program = program
        super().__init__(*arguments)  # type: ignore[arg-type]

    def command(self) -> list[str]:
        return [super().command()[0], "-c", self._program]
