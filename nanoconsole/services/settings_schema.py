"""Every setting with its kind, default, range and help: the file, the dialog, the verb and their errors come from it."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import Literal

from nanoconsole.services.alert_rules import ACTIONS, RULES

Kind = Literal["switch", "number", "choice", "words", "some"]
Value = bool | float | str | tuple[str, ...]

THEMES = ("nano-dark", "nano-light", "nano-safe", "nano-contrast", "nano-ansi")
GLYPHS = ("braille", "block", "ascii")
MOST_WORDS = 64
LONGEST = 1024


@dataclass(frozen=True)
class Setting:
    """One key of settings.toml. Kind `words` is a list of texts, `some` a list of `choices`; numbers have a range."""

    key: str
    kind: Kind
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf

    @property
    def allowed(self) -> str:
        """What may be written, in words."""
        if self.kind == "number":
            return f"a number from {self.minimum:g} to {self.maximum:g}"
        return {
            "switch": "true or false",
            "choice": f"one of {', '.join(self.choices)}",
            "words": f"a list of at most {MOST_WORDS} texts",
            "some": f"a list of {', '.join(self.choices)}",
        }[self.kind]

    def take(self, raw: object) -> Value:
        """The value of what stands in a file. Raises ValueError, saying what is allowed."""
        value = self._converted(raw)
        if value is None:
            raise ValueError(f"is not {self.allowed}{self._nearest(raw)}")
        return value

    def _converted(self, raw: object) -> Value | None:
        if self.kind == "switch":
            return raw if isinstance(raw, bool) else None
        if self.kind == "choice":
            return raw if isinstance(raw, str) and raw in self.choices else None
        if self.kind == "number":
            number = isinstance(raw, int | float) and not isinstance(raw, bool)
            return float(raw) if number and self.minimum <= raw <= self.maximum else None  # pyright: ignore
        if not isinstance(raw, list | tuple) or len(raw) > MOST_WORDS:
            return None
        fits = all(isinstance(word, str) and len(word) <= LONGEST for word in raw)
        return tuple(raw) if fits and (self.kind == "words" or set(raw) <= set(self.choices)) else None

    def _nearest(self, raw: object) -> str:
        near = difflib.get_close_matches(raw, self.choices, n=1) if isinstance(raw, str) and len(raw) < 80 else []
        return f"; did you mean {near[0]}?" if near else ""


def _of_rules() -> list[Setting]:
    """What can be set of each alert rule."""
    found: list[Setting] = []
    for rule in RULES:
        key = f"alerts.{rule.name}"
        found.append(Setting(f"{key}.enabled", "switch", True, rule.help))
        for limit in rule.limits:
            found.append(
                Setting(f"{key}.{limit.name}", "number", limit.default, limit.help, (), limit.minimum, limit.maximum)
            )
        found.append(Setting(f"{key}.actions", "some", rule.actions, "What is done when it is raised.", ACTIONS))
    return found


SETTINGS: tuple[Setting, ...] = (
    Setting("theme", "choice", "nano-dark", "Colours of the console.", THEMES),
    Setting("refresh_hz", "number", 1.0, "Looks at the runs a second.", (), 0.1, 10.0),
    Setting("low_bandwidth", "switch", False, "For slow lines: one look in two seconds, and fewer characters a frame."),
    Setting("glyphs", "choice", "braille", "Characters that charts are drawn with.", GLYPHS),
    Setting("bell", "switch", True, "Let alerts ring the terminal's bell and send it a notice (OSC 9)."),
    Setting(
        "tensorboard", "switch", False, "Serve TensorBoard (port 6006 or the next free one) beside what is trained."
    ),
    Setting("roots", "words", (), "Further folders of runs."),
    Setting("alerts.command", "words", (), "Program and arguments that the action `command` starts; no shell."),
    Setting("alerts.command_seconds", "number", 10.0, "Seconds after which that program is ended.", (), 0.1, 600.0),
    *_of_rules(),
)
BY_KEY = {setting.key: setting for setting in SETTINGS}
