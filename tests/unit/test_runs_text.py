"""Text from outside cannot move the cursor, change the title or hide itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocore.runs.text import LINE_LIMIT, sanitize, sanitize_data, sanitize_line


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x1b]52;c;AAAA\x1b\\", "␛]52;c;AAAA␛\\"),
        ("a\x9b31mb", "a\ufffd31mb"),
        ("\x7f", "\ufffd"),
        ("exe\u202egnp", "exe\ufffdgnp"),
        ("zero\u200bwidth", "zero\ufffdwidth"),
        ("line\u2028sep", "line\ufffdsep"),
        ("\ud800", "\ufffd"),
        ("nul\0", "nul␀"),
        ("over\rwrite", "over␍write"),
    ],
)
def test_what_a_terminal_would_obey_becomes_visible(hostile: str, shown: str) -> None:
    assert sanitize(hostile) == shown


def test_ordinary_text_and_markup_stay_as_they_are() -> None:
    text = "fn f() -> [u8; 4] { [0; 4] }\n\t[red]é漢字 🙂 e\u0301[/] [@click=app.quit]"
    assert sanitize(text) == text


@given(st.text(alphabet=st.characters(codec=None)))
def test_nothing_unsafe_is_left_and_a_second_pass_changes_nothing(text: str) -> None:
    clean = sanitize(text)
    assert not any(ord(c) < 0x20 and c not in "\n\t" for c in clean)
    assert not any(0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 or 0x202A <= ord(c) <= 0x202E for c in clean)
    assert sanitize(clean) == clean
    clean.encode()


def test_a_line_is_one_line_of_limited_length() -> None:
    assert sanitize_line("a\nb\tc") == "a b c"
    long = sanitize_line("x" * 10_000_000)
    assert len(long) == LINE_LIMIT
    assert long.endswith("…")


def test_data_is_cleaned_at_every_depth_keys_too() -> None:
    assert sanitize_data({"a\x1b": [{"b": "\x07"}, 1, None]}) == {"a␛": [{"b": "␇"}, 1, None]}
