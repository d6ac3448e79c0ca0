"""The schema as a flat list of fields: what forms, help texts, error lines and the written reference are made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from nanocore.config.schema import Config
from nanocore.config.section import Section
from nanocore.config.sections import Source

Kind = Literal["bool", "int", "float", "str", "choice", "list"]


@dataclass(frozen=True)
class Field:
    """One key: `key` is its dotted name, `minimum` and `maximum` belong to the range unless `open_*` says otherwise.

    For text, `maximum` is the longest length in characters; for lists the largest number of entries.
    """

    key: str
    section: str
    name: str
    kind: Kind
    choices: tuple[str | int, ...]
    default: Any
    minimum: float | None
    maximum: float | None
    help: str
    open_minimum: bool = False
    open_maximum: bool = False
    pattern: str = ""

    @property
    def range(self) -> str:
        """The allowed range in words, empty when everything of the kind is allowed."""
        if self.kind == "str":
            return f"of at most {self.maximum} characters" if self.maximum else ""
        if self.kind == "list":
            return f"of {self.minimum or 0} to {self.maximum} entries" if self.maximum else ""
        if self.maximum is None:
            return "" if self.minimum is None else f"of at least {self.minimum:.12g}"
        low = "" if self.minimum is None else f"{'above' if self.open_minimum else 'from'} {self.minimum:.12g}"
        if self.open_minimum:
            return f"{low} and {'below' if self.open_maximum else 'at most'} {self.maximum:.12g}"
        return f"{low} {'to below' if self.open_maximum else 'to'} {self.maximum:.12g}".strip()


@cache
def fields() -> tuple[Field, ...]:
    """All keys of a configuration in the order of the file."""
    sections = ((name, info.annotation) for name, info in Config.model_fields.items())
    return tuple(field for name, section in sections for field in _of(name, section))


@cache
def source_fields() -> tuple[Field, ...]:
    """The keys of one entry of `data.sources`."""
    return tuple(_of("data.sources[]", Source))


def get(config: Config, key: str) -> Any:
    """The value of a dotted key such as `model.d_model`."""
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)


def changed(a: Config, b: Config) -> list[tuple[str, Any, Any]]:
    """(key, value in `a`, value in `b`) of every differing key; `about`, which training never reads, is left out."""
    keys = [field.key for field in fields() if field.section != "about"]
    return [(key, get(a, key), get(b, key)) for key in keys if get(a, key) != get(b, key)]


def _of(section: str, model: Any) -> Iterator[Field]:
    assert issubclass(model, Section)
    for name, info in model.model_fields.items():
        yield _field(section, name, info)


def _field(section: str, name: str, info: FieldInfo) -> Field:
    kind, choices = _kind(info.annotation)
    limits = {limit: getattr(rule, limit) for rule in info.metadata for limit in _LIMITS if hasattr(rule, limit)}
    minimum = next((limits[limit] for limit in ("ge", "gt", "min_length") if limit in limits), None)
    maximum = next((limits[limit] for limit in ("le", "lt", "max_length") if limit in limits), None)
    return Field(
        key=f"{section}.{name}",
        section=section,
        name=name,
        kind=kind,
        choices=choices,
        default=info.get_default(call_default_factory=True),
        minimum=minimum,
        maximum=maximum,
        help=info.description or "",
        open_minimum="gt" in limits,
        open_maximum="lt" in limits,
        pattern=limits.get("pattern") or "",
    )


_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")


def _kind(annotation: Any) -> tuple[Kind, tuple[str | int, ...]]:
    if get_origin(annotation) is Literal:
        return "choice", get_args(annotation)
    if get_origin(annotation) is list:
        return "list", ()
    kinds: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "str"}
    return kinds[annotation], ()
