"""Beside the form: what the configuration will cost, and what was changed."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from nanoconsole.services.cost import Cost
from nanoconsole.services.draft import Draft
from nanoconsole.services.format import count, duration, size
from nanocore.runs.text import sanitize_line


class CostPanel(Static):
    """Estimate, faults, differences; top lines first, as small terminals show only those."""

    def show(self, draft: Draft | None, cost: Cost | str) -> None:
        """Show a draft with its cost, or with the words why it has none."""
        if draft is None:
            self.update(Content(""))
            return
        upper = _figures(cost) if isinstance(cost, Cost) else _faults(draft, cost)
        self.update(Content("\n\n").join([upper, _differences(draft)]))


def brief(cost: Cost | str) -> str:
    """Parameters, and time or else memory, on one short line; "" when there is no estimate."""
    if isinstance(cost, str):
        return ""
    then = f"≈ {duration(cost.seconds)}" if cost.seconds else f"{size(cost.estimate.peak_bytes)} tensors"
    return f"{count(cost.estimate.parameters)}  {then}"


def _figures(cost: Cost) -> Content:
    figures = cost.estimate
    state = figures.weight_bytes + figures.gradient_bytes + figures.optimizer_bytes
    lines = [
        ("parameters", count(figures.parameters)),
        ("ternary", count(figures.ternary_parameters)),
        ("embedding", count(figures.embedding_parameters)),
        ("tensors", f"≈ {size(figures.peak_bytes)}"),
        ("weights etc.", size(state)),
        ("activations", f"≈ {size(figures.activation_bytes)}"),
        ("tokens", count(figures.tokens) if figures.tokens else "by time"),
        ("time", f"≈ {duration(cost.seconds)}" if cost.seconds else "unknown"),
    ]
    rows = [Content.assemble((f"{name:<13}", "$axis"), (value, "$value")) for name, value in lines]
    return Content("\n").join([*rows, Content.styled(cost.source, "$axis")])


def _faults(draft: Draft, other: str) -> Content:
    """Faults in place of an estimate."""
    faults = [f"{key}: {words}" for key, words in draft.problems.items()] + draft.others
    faults += [sanitize_line(other)] if other else []
    head = Content.styled(f"✗ {len(faults)} fault{'s' if len(faults) > 1 else ''}", "bold $error")
    return Content("\n").join([head, *[Content(line) for line in faults]])


def _differences(draft: Draft) -> Content:
    """Each changed key, before and after."""
    changes = draft.changes()
    name = "the file" if draft.is_file else "the preset"
    if not changes:
        return Content.styled(f"as {name} has it", "$axis")
    head = Content.styled(f"◆ {len(changes)} change{'s' if len(changes) > 1 else ''} to {name}", "bold $accent")
    lines = [
        Content.assemble(
            f"{change.key}\n  ", (change.before or "empty", "$axis"), " → ", (change.after or "empty", "$value")
        )
        for change in changes
    ]
    return Content("\n").join([head, *lines])
