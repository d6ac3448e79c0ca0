"""Writes the configuration reference: `python -m nanocore.config.document > docs/configuration.md`."""

from __future__ import annotations

import sys

from nanocore.config.continuation import RESUMABLE
from nanocore.config.earlier import EARLIER, Counterpart
from nanocore.config.estimate import estimate
from nanocore.config.fields import Field, fields, source_fields
from nanocore.config.idle import IDLE, Idle
from nanocore.config.legacy_keys import KEYS, Derived, Dropped, Entry, Option, Switch, To
from nanocore.config.literals import literal
from nanocore.config.messages import allowed
from nanocore.config.resolve import resolve
from nanocore.config.rules import RULES
from nanocore.config.schema import Config

INTRODUCTION = """\
# Configuration

<!-- Written by `python -m nanocore.config.document`; edit the schema, not this file. -->

A configuration is a TOML file of sections and keys. Every key has a default; a file holds what differs.
`nanoconsole presets list` names the built-in presets and yours, `nanoconsole config show PRESET` prints one in full.

```
nanoconsole train tiny-cpu --set training.steps=300 --set hardware.device=cpu
nanoconsole config check my.toml
nanoconsole config diff tiny-cpu my.toml
```

- `--set section.key=value` overrides one key. The value is TOML; a bare word is text (`hardware.device=cpu`).
  Text that looks like a number needs quotes: `--set evaluation.sample_prompt='"42"'`. Lists are TOML too:
  `--set 'data.sources=[{kind="files", paths=["src/**/*.py"]}]'`.
- A horizon given with `--set` (`training.steps`, `tokens` or `duration`) replaces the one of the preset. Keys of the
  preset that a value given with `--set` leaves without effect have their defaults again (see the end of the rules).
- Unknown keys, wrong types, numbers out of range or not finite, and contradictions are refused, each with its file
  and line, all at once. Whole numbers are accepted where a number is asked for, never the other way round.
- Files are UTF-8, at most 1 MiB. Text may not hold control characters.
- When a run is resumed, {resumable} may change; anything else makes a new run (`--from`).
"""

NO_EFFECT = """\
While other keys have the values on the left, nothing reads the keys on the right: anything but their default is refused.
"""

ESTIMATES = """\
## Estimates

The console shows before a launch what a configuration costs on one process. Parameters, weights, gradients and
optimizer state are exact counts. Activation memory is counted tensor by tensor from what the backward pass keeps of a
micro-batch (without `hardware.compile`, and with document borders in it when `data.isolate_documents`), within 15 %
of what is measured; the peak is the largest sum of tensors at one moment, within 25 %. The program itself (Python,
torch, on a GPU also its context) comes on top of the peak. All are tested against the real model. `auto` in
`[hardware]` is resolved for the machine that asks. Time comes from the nearest finished run on the same machine, and
is "unknown" when there is none.
"""

LEGACY = """\
## Keys of the earlier system

`nanoconsole config import FILE` reads the configurations of nanochat-rs-ternary. Each of its keys is mapped, left out
with a note, or refused with the reason. Keys of techniques that this version lacks are refused when they switch the
technique on.

| earlier key | here |
|-|-|
"""

COUNTERPARTS = """
Its configurations and training scripts, and what to train here. Parameters are without the heads of multi-token
prediction. A line with `--set` is a model of the earlier width, depth and context, trained on as many tokens; in the
others the purpose is the same and the size is not. Every key of an earlier file is had by importing it.

| earlier name | its parameters | here | parameters |
|-|-|-|-|
"""

EXAMPLE = """\
## An example

```toml
[about]
description = "a small model of bytes on my notes, with one further head"

[training]
steps = 1500

[mtp]
horizon = 1

[[data.sources]]
kind = "files"
paths = ["~/notes/**/*.md"]
```

A file holds what differs from the defaults below, not from a preset. To begin with a preset: `nanoconsole config save tiny-cpu notes.toml --set training.steps=1500`.
`nanoconsole presets show NAME --full` prints every key of a preset, `nanoconsole config save FILE NAME` makes a file a preset of yours.
"""


def document() -> str:
    """The whole reference in Markdown."""
    parts = [INTRODUCTION.replace("{resumable}", ", ".join(f"`{key}`" for key in RESUMABLE)), EXAMPLE]
    for name, info in Config.model_fields.items():
        doc = (info.annotation.__doc__ or "") if info.annotation else ""
        parts.append(f"## [{name}]\n\n{doc}\n\n{_table([field for field in fields() if field.section == name])}")
        if name == "data":
            parts.append(f"### [[data.sources]]\n\nOne entry for each source.\n\n{_table(list(source_fields()))}")
    rules = "\n".join(f"- {rule.check.__doc__}" for rule in RULES)
    parts.append(f"## Rules between keys\n\n{rules}\n")
    parts.append(f"{NO_EFFECT}\n{''.join(map(_idle, IDLE))}")
    rows = [f"| `{key}` | {_fate(kind)} |\n" for key, kind in sorted(KEYS.items())]
    return "\n".join([*parts, ESTIMATES, LEGACY + "".join(rows) + COUNTERPARTS + "".join(map(_counterpart, EARLIER))])


def _counterpart(row: Counterpart) -> str:
    names = ", ".join(f"`{name}`" for name in row.names)
    here = estimate(resolve(row.preset, [*row.sets, "mtp.horizon=0"])).parameters
    return f"| {names} | {row.parameters} | `{row.target}` | {_rounded(here)} |\n"


def _rounded(parameters: int) -> str:
    return f"{parameters / 1e9:.2f}B" if parameters >= 1e9 else f"{parameters / 1e6:.1f}M"


def _idle(reason: Idle) -> str:
    state = " and ".join(f"`{key}` = {_either(values)}" for key, values in reason.when.items())
    return f"- {state}: {', '.join(f'`{key}`' for key in reason.keys)}\n"


def _either(values: tuple[object, ...]) -> str:
    return " or ".join(f"`{literal(value)}`" for value in values)


def _table(rows: list[Field]) -> str:
    lines = ["| key | value | default | meaning |", "|-|-|-|-|"]
    for field in rows:
        cells = (f"`{field.name}`", _value(field), f"`{literal(field.default)}`", field.help)
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _value(field: Field) -> str:
    if field.choices:
        return ", ".join(f"`{literal(choice)}`" for choice in field.choices)
    return "text in quotes" if field.pattern else allowed(field)


def _fate(kind: Entry) -> str:
    match kind:
        case To(key):
            return f"`{key}`"
        case Derived():
            return "computed together with its neighbours"
        case Dropped(reason):
            return f"left out: {reason}"
        case Switch(technique):
            return f"refused when on: {technique}"
        case Option(technique):
            return f"left out: an option of {technique}"


if __name__ == "__main__":
    sys.stdout.write(document())
