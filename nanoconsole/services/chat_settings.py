"""How a conversation is laid out and drawn: what stands before each turn, and how the next token is chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Layout:
    """How turns stand in the one text that the model continues."""

    user: str = ""
    assistant: str = ""

    def turn(self, line: str, after: str) -> str:
        """What a line adds, `after` the text so far: the user's prefix, the line, and the assistant's on a line of its own."""
        border = "\n" if after and not after.endswith("\n") else ""
        return f"{border}{self.user}{line}\n{self.assistant}"

    def stops(self) -> list[str]:
        """A reply ends where the model begins to write the user's next turn; without a prefix nothing shows that."""
        return [f"\n{self.user.strip()}"] if self.user.strip() else []


@dataclass(frozen=True)
class Setting:
    """One number of the dialog: its range, and what it does."""

    key: str
    label: str
    default: float
    low: float
    high: float
    whole: bool
    about: str


SETTINGS: tuple[Setting, ...] = (
    Setting("temperature", "temperature", 0.8, 0, 10, False, "0 takes the likeliest token"),
    Setting("top_k", "top-k", 50, 0, 1_000_000, True, "only the k likeliest; 0: all"),
    Setting("top_p", "top-p", 1.0, 0.001, 1, False, "only the likeliest that sum to this"),
    Setting("min_p", "min-p", 0.0, 0, 1, False, "at least this share of the likeliest"),
    Setting("repetition_penalty", "penalty", 1.0, 0.01, 100, False, "above 1: recent tokens less likely"),
    Setting("seed", "seed", 0, 0, 2**53, True, "the same seed, the same text"),
    Setting("tokens", "tokens", 200, 1, 1_000_000, True, "most of them in a reply"),
)
TEXTS = (
    ("user", "you", "stands before what you say, as Q:\\_"),
    ("assistant", "model", "stands before each reply"),
    ("opening", "opening", "what the conversation begins with"),
)


@dataclass(frozen=True)
class ChatSettings:
    """Numbers as the worker takes them, and the layout of the turns; `opening` is how every conversation begins."""

    numbers: dict[str, float] = field(
        default_factory=lambda: {each.key: _number(each, each.default) for each in SETTINGS}
    )
    layout: Layout = Layout()
    opening: str = ""

    def request(self) -> dict[str, Any]:
        """What goes to the worker beside the text."""
        return {**self.numbers, "stop": self.layout.stops()}

    def words(self) -> str:
        """`temperature 0.8  top-k 50  seed 0  tokens 200`: those that do something."""
        return "  ".join(f"{each.label} {self.numbers[each.key]:g}" for each in SETTINGS if self._matters(each))

    def _matters(self, each: Setting) -> bool:
        return each.key in ("temperature", "seed", "tokens") or self.numbers[each.key] != _off(each)


def parse(key: str, text: str) -> tuple[float | None, str]:
    """The number that was typed for a setting, or None and why it is refused."""
    setting = next(each for each in SETTINGS if each.key == key)
    kind = "a whole number" if setting.whole else "a number"
    span = f"{kind} from {setting.low:g} to {setting.high:g}"
    try:
        value = float(text)
    except ValueError:
        return None, f"{setting.label} is {span}"
    if not (math.isfinite(value) and setting.low <= value <= setting.high) or (setting.whole and value % 1):
        return None, f"{setting.label} is {span}"
    return _number(setting, value), ""


def unescaped(text: str) -> str:
    """A typed line with \\n, \\t and \\\\ read as line break, tab and backslash, and \\_ as a space that is not lost."""
    for written, meant in (("\\\\", "\0"), ("\\n", "\n"), ("\\t", "\t"), ("\\_", " "), ("\0", "\\")):
        text = text.replace(written, meant)
    return text


def escaped(text: str) -> str:
    """A text as it is typed: the opposite of `unescaped`."""
    text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return f"{text[:-1]}\\_" if text.endswith(" ") else text


def _number(setting: Setting, value: float) -> float:
    return int(value) if setting.whole else float(value)


def _off(setting: Setting) -> float:
    return {"top_k": 0, "top_p": 1, "repetition_penalty": 1}.get(setting.key, 0)
