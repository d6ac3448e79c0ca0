"""Stop strings: found wherever tokens are cut, and never shown in part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocore.errors import UsageError
from nanocore.infer.stops import StopFilter

LETTERS = st.text("ab\n", max_size=12)
STOPS = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3)


def letter_by_letter(text: str, stops: list[str]) -> tuple[str, bool]:
    """The text before the stop string that is complete first; the longest of several."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))], True
    return text, False


@given(st.lists(LETTERS, max_size=8), STOPS)
def test_the_text_ends_before_the_stop_string_however_it_is_cut(pieces: list[str], stops: list[str]) -> None:
    found = StopFilter(stops)
    shown = "".join(found.push(piece) for piece in pieces)
    assert (shown + found.finish(), found.stopped) == letter_by_letter("".join(pieces), stops)


@given(st.lists(LETTERS, max_size=8), STOPS)
def test_what_is_shown_is_never_taken_back(pieces: list[str], stops: list[str]) -> None:
    found, shown, read = StopFilter(stops), "", ""
    for piece in pieces:
        shown, read = shown + found.push(piece), read + piece
        for more in ("", *(stop[cut:] for stop in stops for cut in range(len(stop)))):
            assert letter_by_letter(read + more, stops)[0].startswith(shown)


def test_only_what_could_become_a_stop_string_is_held_back() -> None:
    found = StopFilter(["END"])
    assert [found.push(piece) for piece in ("go E", "N", "Ex", "EN", "D after")] == [
        "go ",
        "",
        "ENEx"[:2] + "Ex",
        "",
        "",
    ]
    assert found.stopped and found.push("more") == ""


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        StopFilter(["a", ""])
