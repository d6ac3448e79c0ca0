"""The characters that charts are drawn with: braille, half blocks, or plain ASCII where a terminal has no more."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanoconsole.tui.widgets import braille
from nanoconsole.tui.widgets.canvas import Canvas

VARIABLE = "NANOCONSOLE_GLYPHS"
PLAIN = str.maketrans("│┤└─┬━✕●▲▼◆■◇△☆▷×…→", "|++-+=Xo^v*#c!F>x.>")
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Glyphs:
    """`cells` turns a dot mask (4 height, 2 width) into code points (height, width), `blank` for empty cells.

    `plain` says that everything else is ASCII too.
    """

    name: str
    blank: int
    cells: Callable[[braille.Mask], Codes]
    plain: bool = False

    def over(self, canvas: Canvas) -> Canvas:
        """The canvas as this terminal can show it."""
        if self.plain:
            for code in np.unique(canvas.codes).tolist():
                if code in PLAIN:
                    canvas.codes[canvas.codes == code] = ord(str(chr(code).translate(PLAIN)))
        return canvas


def _halves(characters: str) -> Callable[[braille.Mask], Codes]:
    """Cells by which of their halves has a dot: none, the lower, the upper, both."""
    codes = np.array([ord(character) for character in characters], np.int64)

    def cells(mask: braille.Mask) -> Codes:
        parts = mask.reshape(mask.shape[0] // 4, 2, 2, mask.shape[1] // 2, 2)
        halves = np.logical_or.reduce(parts, axis=(2, 4))  # (height, half, width)
        return codes[2 * halves[:, 0] + halves[:, 1]]

    return cells


BRAILLE = Glyphs("braille", braille.BLANK, braille.cells)
BLOCK = Glyphs("block", ord(" "), _halves(" ▄▀█"))
ASCII = Glyphs("ascii", ord(" "), _halves(" .':"), plain=True)
KNOWN = {glyphs.name: glyphs for glyphs in (BRAILLE, BLOCK, ASCII)}


def chosen(setting: str, environment: Mapping[str, str] = os.environ) -> Glyphs:
    """What NANOCONSOLE_GLYPHS names, else what the settings say, but half blocks in place of braille on the Linux
    console, whose font has none."""
    named = KNOWN.get(environment.get(VARIABLE, "").strip().lower())
    wanted = named or KNOWN[setting]
    return BLOCK if wanted is BRAILLE and not named and environment.get("TERM") == "linux" else wanted
