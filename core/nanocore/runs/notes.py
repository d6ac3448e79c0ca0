"""What a user notes about a run, in the run's own folder: tags, a note, and whether it is archived."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from nanocore.errors import ConfigError, UsageError
from nanocore.files import read_regular
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line

SCHEMA = 1
MAX_BYTES = 1 << 16
MOST_TAGS = 32
LONGEST_NOTE = 1000
TAG_RULE = "1 to 32 of a-z, 0-9, '.', '_', '/' and '-', beginning with a letter or digit"
_TAG = re.compile(r"[a-z0-9][a-z0-9._/-]{0,31}")


@dataclass(frozen=True)
class Notes:
    """The notes of a run, every text one safe line. `problem` says why the file cannot be used, "" when it can."""

    tags: tuple[str, ...] = ()
    note: str = ""
    archived: bool = False
    problem: str = ""


def read_notes(run: RunFolder) -> Notes:
    """The notes of a run; none, with the reason, when its file cannot be used."""
    try:
        return _notes(_table(run))
    except ConfigError as error:
        return Notes(problem=error.problems[0])


def change_notes(
    run: RunFolder,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    note: str | None = None,
    archived: bool | None = None,
) -> Notes:
    """Change some of a run's notes and return them all; what else the file holds, comments too, stays.

    Raises UsageError for a tag that is not allowed, too many of them or too long a note, ConfigError when the file is
    damaged (it is never written over) or cannot be written.
    """
    added = [check_tag(tag) for tag in add]
    before = _notes(_table(run))
    gone = {*remove, *added}
    tags = (*(tag for tag in before.tags if tag not in gone), *dict.fromkeys(added))
    if len(tags) > MOST_TAGS:
        raise UsageError(f"a run has at most {MOST_TAGS} tags", where=run.name, fix="remove some first")
    if note is not None and len(note) > LONGEST_NOTE:
        raise UsageError(f"a note has at most {LONGEST_NOTE} characters", where=run.name, fix="shorten it")
    after = replace(before, tags=tags)
    after = after if note is None else replace(after, note=sanitize_line(note, LONGEST_NOTE))
    after = after if archived is None else replace(after, archived=archived)
    if after != before:
        from nanocore.config.toml_text import write_text

        write_text(run.notes_file, _text(run, after))
    return after


def check_tag(tag: str) -> str:
    """`tag` itself. Raises UsageError when it cannot be one."""
    if _TAG.fullmatch(tag) is None:
        raise UsageError(f"{sanitize_line(tag, 80)!r} cannot be a tag", fix=f"use {TAG_RULE}")
    return tag


def _raw(run: RunFolder) -> str:
    """The text of the file, "" when there is none. Raises ConfigError."""
    where = f"{run.name}: {run.notes_file.name}"
    try:
        return read_regular(run.notes_file, MAX_BYTES, follow=False).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise ConfigError([f"{where}: cannot be read: {error.strerror}; move it away"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{where}: is not UTF-8 text; correct it or move it away"]) from None


def _table(run: RunFolder) -> dict[str, object]:
    """The table in the file. Raises ConfigError when it is no TOML or of a newer version."""
    where, text = f"{run.name}: {run.notes_file.name}", _raw(run)
    if not text:
        return {}
    from nanocore.config.toml_text import parse  # few runs have notes, and a list of runs should be there at once

    table = parse(text, where=where)
    schema = table.get("schema", SCHEMA)
    if type(schema) is not int or schema > SCHEMA:
        raise ConfigError([f"{where}: was written by a newer version of nanoconsole; use that one"])
    return table


def _notes(table: dict[str, object]) -> Notes:
    """What of a table are notes; entries of another kind count for nothing."""
    tags, note = table.get("tags"), table.get("note")
    kept = [tag for tag in tags if isinstance(tag, str) and _TAG.fullmatch(tag)] if isinstance(tags, list) else []
    return Notes(
        tags=tuple(dict.fromkeys(kept))[:MOST_TAGS],
        note=sanitize_line(note, LONGEST_NOTE) if isinstance(note, str) else "",
        archived=table.get("archived") is True,
    )


def _text(run: RunFolder, notes: Notes) -> str:
    """The file's text with these notes in it."""
    import tomlkit

    document = tomlkit.parse(_raw(run))
    document["schema"] = SCHEMA
    document["tags"] = list(notes.tags)
    document["note"] = notes.note
    document["archived"] = notes.archived
    return tomlkit.dumps(document)
