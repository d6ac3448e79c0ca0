"""Whether the presets and overrides of an experiment make configurations: each fault is told where it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nanocore.config.resolve import resolve
from nanocore.errors import ConfigError, UsageError
from nanocore.runs.text import sanitize_line

if TYPE_CHECKING:
    from nanocore.compare.spec import Spec

Fault = tuple[
    str, str
]  # what it comes from, "preset", "sets", or "" for a preset's file, which names itself; what it is
_OPTION = "--set: "  # how `resolve` names the place of a faulty override


def file_faults(spec: Spec, where: str, lines: Mapping[str, int]) -> list[str]:
    """Of an experiment's file `where`, each with the line of its key; those of the baseline alone, if it has any."""

    def told(part: str, fault: Fault) -> str:
        key, what = f"{part}{fault[0]}", fault[1]
        place = f"{where}:{lines[key]}" if key in lines else where
        return f"{place}: {sanitize_line(key, 80)}: {what}" if fault[0] else what

    own = [told("", fault) for fault in _faults(spec.preset, spec.sets)]
    return own or [told(f"variants.{name}.", fault) for name, fault in _of_variants(spec)]


def option_faults(spec: Spec, where: str) -> list[str]:
    """Of the command `where`, whose variants come with the program; the base is what its options say."""
    named = {"preset": "--preset: ", "sets": _OPTION, "": ""}
    own = [f"{where}: {named[key]}{what}" for key, what in _faults(spec.preset, spec.sets)]
    return own or [
        f"{where}: variant {name}: {what}; or choose others with --only" for name, (_, what) in _of_variants(spec)
    ]


def _of_variants(spec: Spec) -> Iterator[tuple[str, Fault]]:
    for name, part in spec.variants.items():
        for fault in _faults(part.preset or spec.preset, [*spec.sets, *part.sets]):
            yield name, fault


def _faults(preset: str, sets: Sequence[str]) -> list[Fault]:
    try:
        resolve(preset, sets)
    except UsageError as error:
        return [("preset", str(error))]
    except ConfigError as error:
        return [("sets" if each.startswith(_OPTION) else "", each.removeprefix(_OPTION)) for each in error.problems]
    return []
