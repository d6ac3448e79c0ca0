"""`bench e3`: the comparison of the efficiency techniques that comes with the program, at the size and length asked for."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nanocore.compare.spec import Spec, Variant, checked, read
from nanocore.config.overrides import parse
from nanocore.errors import UsageError
from nanocore.runs.create import stem
from nanocore.runs.text import sanitize_line

FILE = Path(__file__).with_name("e3.toml")
QUICK_STEPS = 150
QUICK_SEEDS = (1,)
CADENCES = ("evaluation.every", "checkpoint.every", "galore.refresh_every")  # steps, which keep their share of a run
MOST_STEPS = {"galore.refresh_every": 200}  # what its paper takes for runs of any length


def e3(
    *,
    preset: str = "",
    steps: int = 0,
    seeds: Sequence[int] = (),
    sets: Sequence[str] = (),
    only: Collection[str] = (),
    name: str = "",
    quick: bool = False,
) -> Spec:
    """The shipped experiment with what was asked for in place of its own; `quick` is one seed, short, at equal steps.

    Its name tells preset and quickness apart, so that their runs do not meet. Raises UsageError for a variant that is
    not there and for an override of what a chosen one changes, ConfigError for what `compare` would refuse in a file.
    """
    spec = read(FILE)
    if unknown := [variant for variant in only if variant not in spec.variants]:
        near = difflib.get_close_matches(unknown[0], spec.variants, 1)
        fix = f"did you mean {near[0]}?" if near else f"there are {', '.join(spec.variants)}"
        raise UsageError(f"no variant named {sanitize_line(unknown[0])!r}", where="--only", fix=fix)
    length = steps or (QUICK_STEPS if quick else spec.steps)
    kept = {
        key: part.model_copy(
            update={"sets": rescaled(part.sets, spec.steps, length), "equal": None if quick else part.equal}
        )
        for key, part in spec.variants.items()
        if not only or key in only
    }
    _refuse_what_variants_change(sets, kept)
    changes = {
        "name": name or _name(preset, quick=quick),
        "preset": preset or spec.preset,
        "steps": length,
        "seeds": list(seeds) or (list(QUICK_SEEDS) if quick else spec.seeds),
        "sets": [*rescaled(spec.sets, spec.steps, length), *sets],
        "variants": kept,
    } | ({"equal": ["steps"]} if quick else {})
    return checked(spec.model_copy(update=changes), "bench e3")


def _refuse_what_variants_change(sets: Sequence[str], variants: Mapping[str, Variant]) -> None:
    """An override holds for all runs: it would put the technique into the baseline, or not reach the variant."""
    for key in (text.partition("=")[0].strip() for text in sets):
        names = [name for name, part in variants.items() if key in (parse(each)[0] for each in part.sets)]
        if names:
            what = f"{key} is what {_listed(names)} changes in the baseline, the preset without the techniques"
            raise UsageError(what, where="--set", fix="leave it out, or choose other variants with --only")


def _listed(names: Sequence[str]) -> str:
    return f"the variant {names[0]}" if len(names) == 1 else f"each of the variants {', '.join(names)}"


def _name(preset: str, *, quick: bool) -> str:
    """e3, e3-nano-125m, e3-quick: runs are called after it."""
    parts = [stem(preset).removeprefix("e3-")] if preset else []
    return "-".join(["e3", *parts, *(["quick"] if quick else [])])


def rescaled(sets: Sequence[str], before: int, after: int) -> list[str]:
    """Overrides of a run of `before` steps for one of `after`: what happens every so many steps happens as often in it."""
    return [_rescaled(text, after / before) for text in sets]


def _rescaled(text: str, factor: float) -> str:
    key, value = parse(text)
    if key not in CADENCES:
        return text
    return f"{key}={max(1, min(round(value * factor), MOST_STEPS.get(key, 10**9)))}"
