"""Whether the presets and overrides of an experiment make configurations: each fault is told where it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nanocore.compare.faults import told
from nanocore.config.fields import changed
from nanocore.config.resolve import resolve
from nanocore.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from nanocore.compare.spec import Spec

RESERVED = (
    "training.steps",
    "training.tokens",
    "training.duration",
    "training.seed",
)  # what the experiment itself sets
Fault = tuple[str, str]  # the key that it comes from ("": a preset's file, which names itself); what is wrong
_OPTION = "--set: "  # how `resolve` names the place of a faulty override
_SAME = "changes nothing beside the baseline"
_LATE = "collider.start_step: its step is timed from the first on, where nothing is filtered yet; set it to 0"
_UNTIMED = 'or give the variant equal = ["steps"]'


def file_faults(spec: Spec, where: str, known: Mapping[str, str]) -> list[str]:
    """Of an experiment's file `where`, whose keys have the places `known`; those of the baseline alone, if it has any,
    and variants that are the baseline only where all of them make configurations."""

    def line(part: str, fault: Fault) -> str:
        return told(where, known, f"{part}{fault[0]}", fault[1]) if fault[0] else fault[1]

    own = [line("", fault) for fault in _faults(spec.preset, spec.sets)]
    own = own or [line(f"variants.{name}.", fault) for name, fault in _of_variants(spec)]
    fix = "give it another value, or leave the variant out"
    own = own or [line(f"variants.{name}.", (key, f"{_SAME}; {fix}")) for name, key in _same(spec)]
    return own or [line(f"variants.{name}.", ("sets", f"{_LATE}, {_UNTIMED}")) for name in _late(spec)]


def option_faults(spec: Spec, where: str) -> list[str]:
    """Of the command `where`, whose variants come with the program; the base is what its options say."""
    named = {"preset": "--preset: ", "sets": _OPTION, "": ""}
    own = [f"{where}: {named[key]}{what}" for key, what in _faults(spec.preset, spec.sets)]
    own = own or [
        f"{where}: variant {name}: {what}; or choose others with --only" for name, (_, what) in _of_variants(spec)
    ]
    own = own or [f"{where}: variant {name}: {_SAME}; choose others with --only" for name, _ in _same(spec)]
    return own or [f"{where}: variant {name}: {_LATE}; choose others with --only" for name in _late(spec)]


def _of_variants(spec: Spec) -> Iterator[tuple[str, Fault]]:
    for name, part in spec.variants.items():
        for fault in _faults(part.preset or spec.preset, [*spec.sets, *part.sets]):
            yield name, fault


def _same(spec: Spec) -> Iterator[tuple[str, str]]:
    """Variants whose runs would be the baseline's again, and the key that was to make the difference."""
    first = [f"hardware.threads={spec.threads}", *spec.sets]  # a variant may have threads of its own
    base = resolve(spec.preset, first)
    for name, part in spec.variants.items():
        own = resolve(part.preset or spec.preset, [*first, *part.sets])
        if all(key in RESERVED for key, *_ in changed(base, own)):
            yield name, "sets" if part.sets else "preset"


def _late(spec: Spec) -> Iterator[str]:
    """Variants at equal time whose filter begins after the steps that are timed."""
    for name in spec.at("time"):
        part = spec.variants[name]
        collider = resolve(part.preset or spec.preset, [*spec.sets, *part.sets]).collider
        if collider.mode != "off" and collider.start_step:
            yield name


def _faults(preset: str, sets: Sequence[str]) -> list[Fault]:
    try:
        resolve(preset, sets)
    except UsageError as error:
        return [("preset", str(error))]
    except ConfigError as error:
        return [("sets" if each.startswith(_OPTION) else "", each.removeprefix(_OPTION)) for each in error.problems]
    return []
