"""Where a draft is saved: in its own file, as a preset of the user's, or as a new file."""

from __future__ import annotations

from pathlib import Path

from nanoconsole.services.draft import Draft
from nanoconsole.services.draft_changes import changes
from nanocore.config import toml
from nanocore.config.fields import changed
from nanocore.config.presets import derived, save_preset, user_folder
from nanocore.config.schema import Config
from nanocore.errors import ConfigError, UsageError
from nanocore.files import is_there
from nanocore.runs.layout import NAME_RULE, valid_name
from nanocore.runs.text import sanitize_line

TOLD = 3  # changes that a proposed description names; of others it says how many


def is_path(name: str) -> bool:
    """Whether a name given for saving means a file rather than a preset."""
    return "/" in name or name.endswith(".toml")


def fault(name: str) -> str:
    """Why a draft cannot be saved under a name, as far as the name itself tells; "" when it can."""
    if is_path(name):
        path = Path(name).expanduser()
        return "this file exists; open it to edit it" if is_there(path) else ""
    return "" if valid_name(name) else f"use {NAME_RULE}, or a path for a file"


def save_as(draft: Draft, name: str, about: str = "") -> Path:
    """Save a draft as the user's preset `name`, or as a new file where `name` is a path; comments are kept.

    Raises UsageError when the name is not allowed or the file exists, ConfigError when the draft has faults.
    """
    if draft.config is None:
        raise ConfigError([f"{key}: {words}" for key, words in draft.problems.items()] + draft.others)
    if not is_path(name):
        # a run's own text has every key: as a preset only what differs from the defaults is of use
        base = None if draft.run else draft.path
        return save_preset(name, draft.config, about, base=base, text="" if draft.run else draft.toml())
    if words := fault(name):
        raise UsageError(words, where=sanitize_line(name))
    path = Path(name).expanduser()
    toml.write_text(path, _as_file(draft, draft.config, about))
    return path


def _as_file(draft: Draft, config: Config, about: str) -> str:
    """The draft's text; of a changed one the description is its own, not that of what it was made from."""
    if draft.run or not changed(toml.load(draft.path), config):
        return draft.toml()
    return derived(draft.path, draft.toml(), config, about or proposal(draft)[1])


def proposal(draft: Draft) -> tuple[str, str]:
    """Name and description to begin with: those of an own preset, else what was changed to which preset."""
    if draft.path.is_relative_to(user_folder()):
        return draft.name, draft.text("about.description")
    stem = "my-" + (draft.path.stem if draft.is_file else draft.name)
    if "about.description" in draft.touched:
        return stem, draft.text("about.description")
    told = [f"{change.key} = {change.after or 'none'}" for change in changes(draft)]
    more = [f"{len(told) - TOLD} more"] if len(told) > TOLD else []
    words = ", ".join([*told[:TOLD], *more])
    return stem, f"{draft.name} with {words}" if words else f"as {draft.name}"
