"""Colours of the console, and how a state looks: always a mark and a word, never colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

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
        "envelope": "#55629c",
        "axis": "#929bc0",
        "value": "#eef1fb",
        "block-cursor-foreground": "#11131c",
        "block-cursor-background": "#7aa2f7",
        "block-cursor-blurred-background": "#282e4d",
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
        "envelope": "#50606c",
        "axis": "#a8b0b8",
        "value": "#ffffff",
        "block-cursor-foreground": "#000000",
        "block-cursor-background": "#56b4e9",
        "block-cursor-blurred-background": "#1f2c35",
    },
)

LIGHT = Theme(
    name="nano-light",
    dark=False,
    primary="#2452b0",
    secondary="#8ea3cf",
    accent="#8a4b00",
    foreground="#1c2233",
    background="#fbfbfd",
    surface="#f1f3f8",
    panel="#e4e8f2",
    success="#2d6418",
    warning="#834700",
    error="#b3123a",
    variables={
        "line-1": "#2452b0",
        "line-2": "#c26a00",
        "line-3": "#3f8f1f",
        "line-4": "#8a3fb5",
        "envelope": "#7c8cb8",
        "axis": "#4c556e",
        "value": "#0b0f1a",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-background": "#2452b0",
        "block-cursor-blurred-background": "#d3dcf2",
    },
)

CONTRAST = Theme(
    name="nano-contrast",
    primary="#6fc3ff",
    secondary="#b0b0b0",
    accent="#ffe600",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    success="#5dff5d",
    warning="#ffe600",
    error="#ff8a80",
    variables={
        "line-1": "#6fc3ff",
        "line-2": "#ffe600",
        "line-3": "#5dff5d",
        "line-4": "#ff9df5",
        "envelope": "#7a7a7a",
        "axis": "#d9d9d9",
        "value": "#ffffff",
        "block-cursor-foreground": "#000000",
        "block-cursor-background": "#ffe600",
        "block-cursor-blurred-background": "#333333",
    },
)

# The terminal's own sixteen colours: what its user chose for it decides the contrast.
ANSI = Theme(
    name="nano-ansi",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_blue",
    accent="ansi_magenta",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    variables={
        **{name: colour for name, colour in BUILTIN_THEMES["ansi-dark"].variables.items() if "ansi" in colour},
        "line-1": "ansi_cyan",
        "line-2": "ansi_yellow",
        "line-3": "ansi_green",
        "line-4": "ansi_magenta",
        "envelope": "ansi_bright_black",
        "axis": "ansi_default",
        "value": "ansi_default",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_cyan",
        "block-cursor-blurred-background": "ansi_blue",
    },
)

THEMES = (DARK, LIGHT, SAFE, CONTRAST, ANSI)


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


def ink(colour: str) -> Style:
    """The style of text in a theme's colour, for widgets that draw their own lines; the terminal's own colours too."""
    return Style(color=Color.parse(colour).rich_color)


def look(state: str) -> Look:
    return STATES.get(state, Look("?", "axis"))
