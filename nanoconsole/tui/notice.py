"""What rings the terminal: the bell, and OSC 9, which many terminals show as a notice of the desktop."""

from __future__ import annotations

from nanocore.runs.text import sanitize_line

LONGEST = 120  # characters of a notice


def notice(text: str) -> str:
    """The bytes for a notice. The text holds no control character, so it cannot end the sequence and begin another.

    It begins with a word, never with a number and a semicolon, which some terminals take for a command.
    """
    return f"\a\x1b]9;nanoconsole: {sanitize_line(text, LONGEST)}\a"
