"""What a draft changes, against the file it was opened from or against another configuration."""

from __future__ import annotations

from dataclasses import dataclass

from nanoconsole.services.draft import Draft
from nanoconsole.services.draft_faults import FIELDS
from nanoconsole.services.typed import shown
from nanocore.config.fields import changed, get
from nanocore.config.schema import Config


@dataclass(frozen=True)
class Change:
    """A key whose value differs from the base, as text."""

    key: str
    before: str
    after: str


def changes(draft: Draft, against: Config | None = None) -> list[Change]:
    """What differs from the file, or from another configuration; resolved when both are valid, else as typed."""
    base = against or draft.base
    if base is not None and draft.config is not None:
        return [Change(key, shown(before), shown(after)) for key, before, after in changed(base, draft.config)]
    before = {key: shown(get(against, key)) if against else draft.base_text(key) for key in FIELDS}
    return [Change(key, old, draft.text(key)) for key, old in before.items() if old != draft.text(key)]
