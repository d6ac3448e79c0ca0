"""run.json as its readers trust it: every field of the right kind, or none of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from nanocore.errors import UsageError
from nanocore.runs.documents import Flawed, load_document
from nanocore.runs.layout import RunFolder

SCHEMA = 1
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Origin(msgspec.Struct, frozen=True):
    """The checkpoint a forked run began with."""

    run: str
    step: _Count
    optimizer: Literal["kept", "fresh"]


class HeldOut(msgspec.Struct, frozen=True):
    """The held-out text: what `xz -9` makes of it stands beside every bits-per-byte figure."""

    xz_bits_per_byte: float | None = None


class RunFacts(msgspec.Struct, frozen=True):
    """The fields of run.json that are shown or acted upon; `created` is Unix time."""

    schema: int = SCHEMA
    preset: str = ""
    created: float = 0.0
    parent: Origin | None = None
    machine: dict[str, Any] = {}
    heldout: HeldOut | None = None
    parameters: _Count | None = None


def load_facts(run: RunFolder) -> RunFacts:
    """What run.json says. Raises UsageError when it is missing, damaged, or written by a newer version."""
    try:
        facts = load_document(run.run_file, RunFacts, newest=SCHEMA)
    except Flawed as flaw:
        raise UsageError(f"its run.json {flaw}", where=run.name) from None
    if facts is None:
        raise UsageError("its run.json is missing", where=run.name)
    return facts


def read_facts(run: RunFolder) -> RunFacts:
    """What run.json says; the defaults of everything when it cannot be used."""
    try:
        return load_facts(run)
    except UsageError:
        return RunFacts()


def problem_of(run: RunFolder) -> str:
    """Why run.json cannot be used, "" when it can."""
    try:
        load_facts(run)
    except UsageError as error:
        return error.what
    return ""
