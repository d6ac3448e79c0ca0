"""Beside the form: what the configuration will cost, and what was changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from textual.content import Content
from textual.widgets import Static

from nanoconsole.services.cost import Cost, Effect, time_words
from nanoconsole.services.draft import Draft
from nanoconsole.services.draft_changes import changes
from nanoconsole.services.format import count, duration, signed, size
from nanocore.config.advice import advice
from nanocore.config.estimate import Estimate
from nanocore.config.schema import Config
from nanocore.runs.text import sanitize_line

Say = Callable[[float | None], str]
Get = Callable[[Estimate], int]


@dataclass(frozen=True)
class Against:
    """Another configuration that a draft is compared with: a preset, a run or a file."""

    name: str
    config: Config


class CostPanel(Static):
    """Estimate, faults, differences; top lines first, as small terminals show only those."""

    def show(
        self,
        draft: Draft | None,
        cost: Cost | str,
        base: Cost | str = "",
        *,
        against: Against | None = None,
        effects: Mapping[str, Effect] | None = None,
    ) -> None:
        """Show a draft with its cost beside that of its base, or with the words why it has none.

        `effects` are what each change adds by itself, {} until they are worked out.
        """
        if draft is None:
            self.update(Content(""))
            return
        before = base.estimate if isinstance(base, Cost) else None
        upper = _figures(cost, before) if isinstance(cost, Cost) else _faults(draft, cost)
        self.update(Content("\n\n").join([upper, *_notes(draft), _differences(draft, against, effects or {})]))


def brief(cost: Cost | str) -> str:
    """Parameters, and time or else memory, on one short line; "" when there is no estimate."""
    if isinstance(cost, str):
        return ""
    then = f"≈ {duration(cost.seconds)}" if cost.seconds else f"{size(cost.estimate.peak_bytes)} tensors"
    return f"{count(cost.estimate.parameters)}  {then}"


FIGURES: tuple[tuple[str, Say, Get, str], ...] = (
    ("parameters", count, lambda e: e.parameters, ""),
    ("active", count, lambda e: e.active_parameters, ""),
    ("ternary", count, lambda e: e.ternary_parameters, ""),
    ("embedding", count, lambda e: e.embedding_parameters, ""),
    ("tensors", size, lambda e: e.peak_bytes, "≈ "),
    ("model state", size, lambda e: e.weight_bytes + e.gradient_bytes + e.optimizer_bytes, ""),
    ("activations", size, lambda e: e.activation_bytes, "≈ "),
)


def _figures(cost: Cost, before: Estimate | None) -> Content:
    after = cost.estimate
    sparse = after.active_parameters != after.parameters
    rows = [
        _row(name, say, get(before) if before else None, get(after), mark)
        for name, say, get, mark in FIGURES
        if sparse or name != "active"
    ]
    rows += [
        _labelled("tokens", (count(after.tokens) if after.tokens else "by time", "$value")),
        _labelled("time", (f"≈ {duration(cost.seconds)}" if cost.seconds else "unknown", "$value")),
    ]
    return Content("\n").join([*rows, Content.styled(_source(cost), "$axis")])


def _source(cost: Cost) -> str:
    """Where the time is known from, in the fewest words: a run's name can be long."""
    return f"as run {cost.like}" if cost.like else cost.source


def _row(name: str, say: Say, before: int | None, after: int, mark: str) -> Content:
    """A figure, and what it was before the changes; a unit that both have is said once."""
    new = say(after)
    old = say(before) if before is not None else new
    if old == new:
        return _labelled(name, (mark + new, "$value"))
    unit = new.rpartition(" ")[2]
    old = old.removesuffix(f" {unit}")
    return _labelled(name, (f"{mark.strip()}{old}→", "$axis"), (new, "$accent"))


def _labelled(name: str, *parts: tuple[str, str]) -> Content:
    return Content.assemble((f"{name:<12}", "$axis"), *parts)


def _faults(draft: Draft, other: str) -> Content:
    """Faults in place of an estimate."""
    faults = [f"{key}: {words}" for key, words in draft.problems.items()] + draft.others
    faults += [sanitize_line(other)] if other else []
    head = Content.styled(f"✗ {len(faults)} fault{'s' if len(faults) > 1 else ''}", "bold $error")
    return Content("\n").join([head, *[Content(line) for line in faults]])


def _notes(draft: Draft) -> list[Content]:
    """What is allowed, but probably not meant."""
    lines = advice(draft.config) if draft.config is not None else []
    return [Content.styled(f"! {line}", "$warning") for line in lines]


def _differences(draft: Draft, against: Against | None, effects: Mapping[str, Effect]) -> Content:
    """Each changed key, before and after, and what it does to size, memory and time by itself."""
    found = changes(draft, against.config if against else None)
    name = against.name if against else draft.noun
    if not found:
        return Content.styled(f"as {name} has it", "$axis")
    head = Content.styled(f"◆ {len(found)} change{'s' if len(found) > 1 else ''} to {name}", "bold $accent")
    lines = [
        Content.assemble(
            f"{change.key}\n  ",
            (change.before or "empty", "$axis"),
            " → ",
            (change.after or "empty", "$value"),
            ("" if against else told(effects.get(change.key)), "$axis"),
        )
        for change in found
    ]
    return Content("\n").join([head, *lines])


def told(effect: Effect | None) -> str:
    """What a change adds by itself, in words on a line of its own; "" when it adds nothing."""
    if effect is None:
        return ""
    parts = [
        f"{signed(effect.parameters, count)} parameters" if effect.parameters else "",
        signed(effect.peak_bytes, size),
        time_words(effect.work, effect.seconds, " arithmetic"),
        effect.uncounted and f"{effect.uncounted}, not counted",
    ]
    told = ", ".join(part for part in parts if part)
    return f"\n  {told}" if told else ""
