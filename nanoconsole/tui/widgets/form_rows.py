"""Which rows the configuration form has, in which order, and how one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nanoconsole.services.draft import FIELDS, Draft
from nanocore.config.fields import Field
from nanocore.config.messages import allowed, show
from nanocore.config.schema import Config

# The switches of techniques stand first, whatever section they belong to.
TECHNIQUES = (
    "model.linear",
    "mhc.streams",
    "mhc.dynamic",
    "model.group_size",
    "model.activation",
    "model.qk_norm",
    "model.sub_norm",
    "model.tie_embeddings",
    "optimizer.matrices",
    "optimizer.others",
    "schedule.kind",
    "data.tokenizer",
    "data.isolate_documents",
    "hardware.dtype",
    "hardware.compile",
)
NAME_WIDTH = 22
Span = tuple[str, str]  # text and style name


@dataclass(frozen=True)
class Row:
    """A title, or a field."""

    title: str = ""
    field: Field | None = None


def rows(query: str = "") -> list[Row]:
    """Techniques, then each section with what is left of it; with a query only fields that have it in key or help."""
    words = query.lower().split()
    first = [FIELDS[key] for key in TECHNIQUES]
    groups: list[tuple[str, Sequence[Field]]] = [("techniques", first)]
    for section in [*(name for name in Config.model_fields if name != "about"), "about"]:
        own = [field for field in FIELDS.values() if field.section == section and field.key not in TECHNIQUES]
        groups.append((section, own))
    found: list[Row] = []
    for title, members in groups:
        kept = [field for field in members if all(word in f"{field.key} {field.help}".lower() for word in words)]
        if kept:
            found += [Row(title=title), *[Row(field=field) for field in kept]]
    return found


def spans(row: Row, draft: Draft) -> list[Span]:
    """A row as text in named styles."""
    if row.field is None:
        return [(f" {row.title}", "section")]
    field = row.field
    text, base = draft.text(field.key), draft.base_text(field.key)
    problem, changed = draft.problems.get(field.key, ""), text != base
    mark = "✗" if problem else "◆" if changed else " "
    style = "problem" if problem else "changed" if changed else "value"
    name = field.key if field.key in TECHNIQUES else field.name
    parts: list[Span] = [(f"  {mark} ", style), (f"{name:<{NAME_WIDTH}} ", "name"), (_value(field, text), style)]
    if problem:
        parts.append((f"  {problem}", "problem"))
    elif changed:
        parts.append((f"  was {_value(field, base).strip('●○‹› ')}", "hint"))
    return parts


def _value(field: Field, text: str) -> str:
    if field.kind == "bool":
        return {"true": "● on", "false": "○ off"}.get(text, text)
    if field.kind == "choice":
        return f"‹ {text} ›"
    return text or ("none" if field.kind == "str" else text)


def value_column() -> int:
    """Where values begin, in cells; right of it a click changes, left of it a click chooses the row."""
    return 4 + NAME_WIDTH + 1


def words_of(field: Field) -> str:
    """What a field accepts, and its default, in words."""
    default = "empty" if field.default == "" else show(field.default)
    return f"{allowed(field)}; default {default}"
