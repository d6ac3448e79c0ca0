"""The TOML file of an experiment: what is compared, from which base, over which seeds.

preset = "tiny-cpu"            # a preset or a .toml file: the baseline
steps = 800                    # optimizer steps of every run at equal steps
seeds = [1, 2, 3]              # each variant is trained with each seed, paired with the baseline's
equal = ["steps", "time"]      # also as many steps as take the baseline's time
sets = ["evaluation.every=100"]  # for all runs
threads = 1                    # of each run; two runs work side by side
calibration_rounds = 12        # of a few steps each, in turn with the baseline, that measure a variant's step time
time_tolerance = 0.03          # a variant whose step takes the baseline's time within 3 %, or 6 % where no more can be told, needs no run at equal time
name = "mtp"                   # of the experiment; else the file's
baseline = "optimizer"         # an experiment whose baseline and power check serve this one too: else its own

[variants.mtp2]
sets = ["mtp.horizon=2"]

[variants.smooth]
sets = ["objective.label_smoothing=0.1"]
equal = ["steps"]              # of this variant, where the experiment's would waste runs: it costs no time

[[variants.smooth.claims]]     # what others say of it, told in the report beside what was measured
claim = "better calibrated"
source = "arXiv 1512.00567"
scale = "ImageNet"
measure = "bits_per_byte"

[variants.other]
preset = "nanogpt-cpu"         # or a .toml file: all its values but steps and seed; `sets` come on top
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nanocore.compare.faults import places, schema_fault, told
from nanocore.compare.fitting import RESERVED, Fault, file_faults, option_faults
from nanocore.config.messages import show
from nanocore.config.overrides import parse as parse_override
from nanocore.config.toml import parse, read_text
from nanocore.errors import ConfigError, UsageError
from nanocore.runs.layout import NAME_RULE, valid_name
from nanocore.runs.text import sanitize, sanitize_line

BASELINE = "baseline"
POWER_CHECK = "power-check"
WARM_UP = 4  # steps that do not count in medians of times
_LONGEST = 64  # characters in a run's name

Sets = Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=200)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Kind = Literal["steps", "time"]
Measure = Literal[
    "bits_per_byte", "bits_per_byte_at_time", "tokens_to_baseline", "seconds_to_baseline", "step_seconds", "backward_seconds",
    "matrix_state_bytes", "optimizer_bytes", "peak_bytes", "utilisation", "gain",
]  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Claim(_Part):
    """What others found, at which scale, and which figure of ours (a change against the baseline) stands beside it."""

    claim: str = Field(min_length=1, max_length=300)
    source: str = Field(min_length=1, max_length=300)
    scale: str = Field(min_length=1, max_length=300)
    measure: Measure


class Variant(_Part):
    """What one variant changes in the baseline, and in which tables it stands: those of the experiment if none.

    With `preset` it is that configuration, trained as long as the others, and `sets` come on top.
    """

    sets: Sets = []
    preset: str = Field(default="", max_length=4096)
    equal: list[Kind] | None = Field(default=None, min_length=1)
    claims: list[Claim] = Field(default=[], max_length=20)


class Spec(_Part):
    """An experiment as its file says it; `read` also checks what no single key can tell."""

    preset: str = Field(max_length=4096)
    steps: int = Field(ge=1, le=1_000_000_000)
    seeds: list[Seed] = Field(default=[1, 2, 3], min_length=1, max_length=100)
    variants: dict[str, Variant] = Field(min_length=1, max_length=50)
    equal: list[Kind] = Field(default=["steps", "time"], min_length=1)
    sets: Sets = []
    threads: int = Field(default=1, ge=0, le=1024)
    calibration_rounds: int = Field(default=12, ge=3, le=1000)
    time_tolerance: float = Field(default=0.0, ge=0.0, le=0.2)
    name: str = ""
    baseline: str = ""

    def owner(self, variant: str) -> str:
        """The experiment that a run belongs to."""
        shared = self.baseline and variant in (BASELINE, POWER_CHECK)
        return self.baseline if shared else self.name

    def at(self, kind: str) -> list[str]:
        """Names of the variants that are compared at equal steps or at equal time."""
        return [name for name, part in self.variants.items() if kind in (part.equal or self.equal)]

    def timed(self) -> list[str]:
        """Variants that are timed beside the baseline: all, where the experiment is about time; what a step costs is told
        also of one that stands at equal steps alone."""
        return list(self.variants) if "time" in self.equal else self.at("time")


def read(path: Path) -> Spec:
    """The experiment in a TOML file. Raises ConfigError with one line for each fault."""
    text = read_text(path)
    table = parse(text, where=str(path))
    table.setdefault("name", _stem(path))
    for part in (table, *_tables(table.get("variants"))):
        if isinstance(preset := part.get("preset"), str) and preset.endswith(".toml"):
            part["preset"] = str(path.parent / Path(preset).expanduser())  # as written, beside this file
    where = sanitize_line(str(path))
    known = places(where, text)
    try:
        spec = Spec.model_validate(table)
    except ValidationError as error:
        faults: list[dict[str, Any]] = [dict(fault) for fault in error.errors(include_url=False)[:50]]
        raise ConfigError([schema_fault(where, known, fault, _names(fault["loc"])) for fault in faults]) from None
    return checked(spec, where, known)


def checked(spec: Spec, where: str, known: Mapping[str, str] | None = None) -> Spec:
    """The experiment, if no fault is in what no single key can tell. Raises ConfigError with one line for each.

    `known` are the places of the file's keys; None: there is no file, all comes from the options of the command `where`.
    """
    if found := _problems(spec, in_file=known is not None):
        raise ConfigError([told(where, known, key, what) for key, what in found])
    if found := option_faults(spec, where) if known is None else file_faults(spec, where, known):
        raise ConfigError(found)
    return spec


def _tables(variants: object) -> list[dict[str, Any]]:
    """The tables of the variants, as far as they are tables: the schema refuses what is none."""
    return [part for part in variants.values() if isinstance(part, dict)] if isinstance(variants, dict) else []


def _stem(path: Path) -> str:
    return path.name.removesuffix(".toml").lower().replace(" ", "-").replace("_", "-")


def _names(loc: tuple[int | str, ...]) -> list[str]:
    """The keys of the part of the file in which a fault is."""
    return list(next((part for depth, part in _LEVELS.items() if len(loc) <= depth), Claim).model_fields)


_LEVELS = {1: Spec, 3: Variant}  # which part has a key of so many places


def _problems(spec: Spec, *, in_file: bool) -> list[Fault]:
    """Faults of names, seeds and overrides."""
    named = [("name", spec.name), *([("baseline", spec.baseline)] if spec.baseline else [])]
    found = [(key, f"{show(name)} cannot name runs; use {NAME_RULE}") for key, name in named if not valid_name(name)]
    if len(set(spec.seeds)) < len(spec.seeds):
        found.append(("seeds", "a seed stands there twice; a pair of runs has a seed of its own"))
    kinds = [("equal", spec.equal), *((f"variants.{name}.equal", part.equal) for name, part in spec.variants.items())]
    twice = [key for key, kind in kinds if kind is not None and len(set(kind)) < len(kind)]
    found += [(key, 'write ["steps"], ["time"] or both') for key in twice]
    for name, part in spec.variants.items():
        found += _variant_problems(spec, name, part)
    sets = [
        ("sets" if in_file else "--set", spec.sets),
        *((f"variants.{name}.sets", part.sets) for name, part in spec.variants.items()),
    ]
    return found + [
        (key, problem) for key, texts in sets for text in texts if (problem := _override_problem(text, in_file))
    ]


def _variant_problems(spec: Spec, name: str, part: Variant) -> list[Fault]:
    key = f"variants.{name}"
    found = [(key, problem)] if (problem := _name_problem(spec, name)) else []
    if not part.sets and not part.preset:
        found.append((key, "changes nothing; give it sets or a preset"))
    words = [text for claim in part.claims for text in (claim.claim, claim.source, claim.scale)]
    return found + [
        (f"{key}.claims", f"{show(text)} is no plain line") for text in words if sanitize_line(text) != text
    ]


def _name_problem(spec: Spec, name: str) -> str:
    if not valid_name(name):
        return f"cannot name runs; use {NAME_RULE}"
    if name in (BASELINE, POWER_CHECK):
        return "is added by itself; choose another name"
    longest = len(f"{spec.name}-{name}-s{max(spec.seeds)}-time")
    longest = max(longest, len(f"{spec.owner(POWER_CHECK)}-{POWER_CHECK}-s{max(spec.seeds)}"))
    longest = max(longest, len(f"{spec.name}-{name}-calibration"))
    if longest > _LONGEST:
        return f"run names would have {longest} characters; shorten it or name by {longest - 64}"
    return ""


def _override_problem(text: str, in_file: bool) -> str:
    if sanitize(text) != text or "\n" in text:
        return f"{show(text)} holds control characters; remove them"
    try:
        key, _ = parse_override(text)
    except UsageError as error:
        told = str(error).removeprefix("--set ")
        return told.replace(" --set ", " ") if in_file else told
    if key in RESERVED:
        way = "set steps and seeds at the top of the file" if in_file else "use --steps and --seed"
        return f"{key} belongs to the experiment; {way}"
    return ""
