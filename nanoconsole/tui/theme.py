"""Colours of the console, and how a state looks: always a mark and a word, never colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from textual.theme import Theme

DARK = Theme(
    name="nano-dark",
    primary="#7aa2f7",
    secondary="#4d5b86",
    accent="#e0af68",
    foreground="#d5dbef",
    background="#11131c",
    surface="#171a26",
    panel="#20243a",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    variables={
        "line-1": "#7aa2f7",
        "line-2": "#e0af68",
        "line-3": "#9ece6a",
        "line-4": "#bb9af7",
        "envelope": "#465083",
        "axis": "#7f88ad",
        "value": "#eef1fb",
        "block-cursor-foreground": "#11131c",
        "block-cursor-background": "#7aa2f7",
        "block-cursor-blurred-background": "#2b3253",
    },
)

# The palette of Okabe and Ito: told apart with every common form of colour blindness.
SAFE = Theme(
    name="nano-safe",
    primary="#56b4e9",
    secondary="#3b5c73",
    accent="#f0e442",
    foreground="#f2f2f2",
    background="#000000",
    surface="#0c0f12",
    panel="#1a2026",
    success="#56b4e9",
    warning="#f0e442",
    error="#e67300",
    variables={
        "line-1": "#56b4e9",
        "line-2": "#f0e442",
        "line-3": "#d55e00",
        "line-4": "#cc79a7",
        "envelope": "#4a5660",
        "axis": "#a8b0b8",
        "value": "#ffffff",
        "block-cursor-foreground": "#000000",
        "block-cursor-background": "#56b4e9",
        "block-cursor-blurred-background": "#24333d",
    },
)

THEMES = (DARK, SAFE)


@dataclass(frozen=True)
class Look:
    """A state's mark and the theme colour it is drawn in."""

    mark: str
    colour: str


STATES: dict[str, Look] = {
    "created": Look("○", "axis"),
    "starting": Look("◔", "primary"),
    "running": Look("●", "success"),
    "paused": Look("◫", "warning"),
    "finished": Look("✓", "primary"),
    "stopped": Look("■", "axis"),
    "crashed": Look("✗", "error"),
    "diverged": Look("✕", "error"),
    "elsewhere": Look("◌", "warning"),
    "unknown": Look("?", "warning"),
    "gone": Look("⊘", "warning"),
    "stalled": Look("◍", "warning"),
}


def look(state: str) -> Look:
    return STATES.get(state, Look("?", "axis"))
