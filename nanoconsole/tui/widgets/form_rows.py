"""Which rows the configuration form has, in which order, and how one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from nanoconsole.services.draft import Draft
from nanoconsole.services.draft_faults import FIELDS
from nanoconsole.services.techniques import SWITCHES
from nanocore.config.fields import Field
from nanocore.config.messages import allowed, show
from nanocore.config.schema import Config

NAME_WIDTH = 22
NOTHING_FOUND = "no key and no meaning has these words"
ARROW = 2  # cells of the mark before what a switch would change
Span = tuple[str, str]  # text and style name


@dataclass(frozen=True)
class Row:
    """A title, or a field."""

    title: str = ""
    field: Field | None = None


def rows(draft: Draft, query: str = "") -> list[Row]:
    """The switches of techniques, then each section with what is left of it.

    A key without effect is left out unless something is wrong with it: the details of a technique that is off. A query
    shows all keys that have it in name or help; that there is none is a row too.
    """
    words = query.lower().split()
    groups: list[tuple[str, Sequence[Field]]] = [("techniques", [FIELDS[key] for key in SWITCHES])]
    for section in [*(name for name in Config.model_fields if name != "about"), "about"]:
        own = [field for field in FIELDS.values() if field.section == section and field.key not in SWITCHES]
        groups.append((section, own))
    found: list[Row] = []
    for title, members in groups:
        kept = [field for field in members if (_matches(field, words) if words else _matters(field, draft))]
        if kept:
            found += [Row(title=title), *[Row(field=field) for field in kept]]
    return found or [Row(title=NOTHING_FOUND)]


def _matches(field: Field, words: Sequence[str]) -> bool:
    return all(word in f"{field.key} {field.help}".lower() for word in words)


def _matters(field: Field, draft: Draft) -> bool:
    return field.key not in draft.asleep or field.key in draft.problems


def spans(row: Row, draft: Draft) -> list[Span]:
    """A row as text in named styles."""
    if row.field is None:
        return [(f" {row.title}", "section")]
    field = row.field
    text, base = draft.text(field.key), draft.base_text(field.key)
    problem, asleep, changed = draft.problems.get(field.key, ""), draft.asleep.get(field.key, ""), text != base
    mark = "✗" if problem else "◆" if changed else " "
    style = "problem" if problem else "changed" if changed else "hint" if asleep else "value"
    parts: list[Span] = [
        (f"  {mark} ", style),
        (f"{_name(field):<{NAME_WIDTH}} ", "name"),
        (_value(field, text), style),
    ]
    if problem:
        parts.append((f"  {problem}", "problem"))
    elif asleep:
        parts.append((f"  no effect while {asleep}", "hint"))
    elif changed:
        parts.append((f"  was {_value(field, base).strip('●○‹› ')}", "hint"))
    return parts


def _name(field: Field) -> str:
    """A switch stands under no title of its section, so its section is named, where there is room."""
    return field.key if field.key in SWITCHES and len(field.key) <= NAME_WIDTH else field.name


def _value(field: Field, text: str) -> str:
    if field.kind == "bool":
        return {"true": "● on", "false": "○ off"}.get(text, text)
    if field.kind == "choice":
        return f"‹ {text} ›"
    shown = text or ("none" if field.kind == "str" else text)
    if field.key in SWITCHES:
        return f"{'○' if text == SWITCHES[field.key][0] else '●'} {shown}"
    return shown


def told(parts: Sequence[tuple[str, float]], room: int) -> str:
    """What the next value of a switch would change (text and weight of each part), the weightiest where room is short."""
    kept = list(parts)
    while kept:
        text = "  ".join(part for part, _ in kept)
        if cell_len(text) + ARROW <= room:
            return f"→ {text}"
        if len(kept) == 1 and cell_len(text) <= room:
            return text
        kept.remove(min(kept, key=lambda part: part[1]))
    return ""


def legend(room: int) -> str:
    """What stands at the right of the switches."""
    lines = ("what the next value adds: parameters, memory, arithmetic or time", "next value: parameters, memory, work")
    return next((line for line in lines if len(line) <= room), "")


def value_column() -> int:
    """Where values begin, in cells; right of it a click changes, left of it a click chooses the row."""
    return 4 + NAME_WIDTH + 1


def words_of(field: Field) -> str:
    """What a field accepts, and its default, in words."""
    default = "empty" if field.default == "" else show(field.default)
    return f"{allowed(field)}; default {default}"
