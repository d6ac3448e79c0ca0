"""Tables that fit the terminal: nothing is torn, nothing that holds a figure is lost."""

from __future__ import annotations

import pytest

from nanoconsole.cli.fitted import fitted, pieces, show_sections
from nanocore.compare.sections import Section

HEADINGS = ("variant", "bits/byte", "MFU %", "a long interval", "verdict")
ROWS = (
    ("baseline", "2.1000", "–", "–", "–"),
    ("mtp", "2.0000", "–", "[-0.1248, -0.0752]", "no difference seen at this scale"),
)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_fits_and_each_piece_names_its_lines(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    fitted(HEADINGS, ROWS, width)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= max(width, len("baseline  no difference seen at this scale"))
    found = [column for piece in pieces(HEADINGS, ROWS, width) for column in piece]
    assert sorted(set(found)) == [0, 1, 3, 4]  # nothing stands under MFU
    assert sum(line.startswith("mtp") for line in lines) == found.count(0)
    assert lines.count("") == found.count(0) - 1


def test_a_pipe_gets_the_whole_table(capsys: pytest.CaptureFixture[str]) -> None:
    fitted(HEADINGS, ROWS, None)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all(name in lines[0] for name in HEADINGS)


def test_a_column_wider_than_the_terminal_stands_alone() -> None:
    assert pieces(("a", "b", "c"), [("x", "y" * 90, "z")], 80) == [[0, 1], [0, 2]]


def test_sections_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    claims = Section(
        "Claims", 2, headings=("variant", "claim", "scale"), rows=(("mtp", "faster " * 20, "7B"),), words=True
    )
    found = [
        Section("", text=("word " * 40, "/a/path/" + "x" * 90)),
        Section("Runs", items=("one: " + "why " * 30,)),
        claims,
    ]
    show_sections("Comparison a", found, 60)
    out = capsys.readouterr().out
    assert all(len(line) <= 60 for line in out.splitlines() if "/a/path" not in line)
    assert "/a/path/" + "x" * 90 in out and "    scale: 7B" in out and "mtp: faster faster" in out and "| " not in out
