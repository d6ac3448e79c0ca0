"""What the screen of a log says in words: what was found, and why there is nothing to show."""

from __future__ import annotations

from textual.content import Content

from nanoconsole.services.log_index import LogIndex
from nanoconsole.services.log_search import LogSearch

SHOWS = {"": "all lines", "WARNING": "warnings and worse", "ERROR": "errors"}


def found(search: LogSearch | None, pattern: str) -> list[tuple[str, str]]:
    """The matches of a search so far, or what is wrong with it; [] without one."""
    if search is None:
        return []
    if search.problem:
        return [(f"  ✗ {search.problem}", "$error")]
    doing = "" if search.waits else f" ({search.share:.0%})"
    full = ", those kept" if search.full else ""
    if not pattern:
        return [(doing, "$axis")]
    count = f"{search.matches:,} match{'' if search.matches == 1 else 'es'}{full}{doing}"
    return [(f"  /{pattern}  ", "bold $accent"), (count, "$foreground")]


def none(search: LogSearch | None, level: str) -> Content:
    """The page of a level that no line has, or none yet."""
    if search is None or not (search.waits or search.problem):
        return Content.styled(f"Looking for {SHOWS[level]} …", "$axis")
    return Content.assemble((f"No {SHOWS[level]}\n\n", "bold"), ("l", "bold $accent"), " shows all lines.")


def nothing(index: LogIndex, reading: bool) -> Content:
    """The page of a log without lines."""
    if reading and not index.problem:
        return Content.styled("Reading …", "$axis")
    if index.problem:
        return Content.assemble(("The log cannot be read\n\n", "bold $error"), index.problem)
    return Content.assemble(("Nothing in the log yet\n\n", "bold"), "The trainer writes it from its start on.")
