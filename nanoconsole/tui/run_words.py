"""What the list of runs says in words: above the table, under it, and in its place when it is empty."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from nanoconsole.services.arrange import NEWEST, Arrangement
from nanoconsole.services.listed import Listed, RunList
from nanoconsole.services.run_fields import ALIASES, FIELDS
from nanoconsole.tui.theme import look
from nanocore.runs.text import sanitize_line

FILTER_TERMS = (
    ("word", "In the name; * and ? stand for other characters, quotes keep blanks."),
    ("key:text", "As state:running, preset:tiny*, tag:good; note: and name: look inside."),
    ("key>1k", "Also < >= <= = !=; numbers with k, M, B, %, times with s, m, h, d."),
    ("has:key", "There is a value, as has:eval/ce or has:tag."),
    ("! ( ) OR", "Not, brackets, either; beside each other all must hold."),
    ("key", "A field, an alias, a metric (eval/ce) or a configuration key (model.d_model)."),
    ("fields", ", ".join(field.name for field in FIELDS)),
    ("aliases", ", ".join(f"{alias} {key}" for alias, key in ALIASES.items())),
)
ORDERS = {(NEWEST, False): "newest first", (NEWEST, True): "oldest first"}


def summary(runs: RunList, shown: Sequence[Listed], order: Arrangement, selected: int, fault: str) -> Content:
    """One line above the table: what is shown, why not all of it, and in which order. Empty without any run."""
    if fault:
        return Content.styled(f"✗ {fault}", "$error")
    if not runs.runs:
        return Content("")
    archived = sum(run.notes.archived for run in runs.runs)
    parts = [
        _counted(len(shown), len(runs.runs)),
        f"{archived:,} archived {'shown (h hides)' if order.archived else 'hidden (h shows)'}" if archived else "",
        ORDERS.get((order.sort, order.reverse)) or f"by {order.sort}{', reversed' if order.reverse else ''}",
        f"{selected:,} selected" if selected else "",
        f"reading {runs.unread:,} more …" if runs.unread else "",
        f"reading {runs.unread_configs:,} configurations …" if runs.unread_configs else "",
    ]
    words = Content.styled(" · ".join(filter(None, parts)), "$axis")
    problem = Content.styled(f"! {sanitize_line(runs.problem)}", "$warning") if runs.problem and shown else Content("")
    return Content("  ").join([part for part in (words, problem) if part.plain])


def _counted(shown: int, there: int) -> str:
    runs = "run" if there == 1 else "runs"
    return f"{there:,} {runs}" if shown == there else f"{shown:,} of {there:,} {runs}"


def detail(listed: Listed) -> Content:
    """State of a run in words, its note, and how it came to a bad end."""
    run, style = listed.summary, look(listed.state)
    phase = f" ({run.phase})" if run.alive and run.phase not in ("", run.state, "training") else ""
    reason = listed.stall or run.message
    words = reason if listed.state in reason else f"{run.state}{phase}" + (f": {reason}" if reason else "")
    parts = [(f"{style.mark} ", f"${style.colour}"), (listed.label, "bold"), (f"  {words}", "$foreground")]
    if run.preset:
        parts.append((f"  preset {run.preset}", "$axis"))
    if listed.notes.tags or listed.notes.archived:
        parts.append(("  " + " ".join(["archived"] * listed.notes.archived + list(listed.notes.tags)), "$accent"))
    if listed.last_words and listed.last_words not in words:
        parts.append((f"\nits log ends: {listed.last_words}", "$axis"))
    if listed.notes.note:
        parts.append((f"\n{listed.notes.note}", "$foreground"))
    if listed.notes.problem:
        parts.append((f"\nits notes cannot be used: {listed.notes.problem}", "$warning"))
    return Content.assemble(*parts)


def nothing(runs: RunList, order: Arrangement) -> Content:
    """The page in place of an empty table: what this is, and which key to press."""
    if not runs.read or (runs.unread and not runs.runs):
        return Content.styled(f"Reading {sanitize_line(str(runs.root))} …", "$axis")
    if runs.problem:
        return Content.assemble(("The runs cannot be listed\n\n", "bold $error"), sanitize_line(runs.problem))
    if runs.runs:
        return _none_shown(runs, order)
    return Content.assemble(
        ("No runs yet\n\n", "bold"),
        ("l", "bold $accent"),
        " then ",
        ("enter", "bold $accent"),
        " trains the small preset on this computer's Python library.\n",
        ("l", "bold $accent"),
        " alone shows all presets and lets you change everything first.\n\n",
        (f"Runs are kept in {sanitize_line(str(runs.root))}", "$axis"),
    )


def _none_shown(runs: RunList, order: Arrangement) -> Content:
    """There are runs, but the filter or the archive hides them all."""
    if not order.filter.text:
        return Content.assemble(("All runs are archived\n\n", "bold"), ("h", "bold $accent"), " shows them.")
    waits = "\nConfigurations are still being read." if runs.unread_configs else ""
    return Content.assemble(
        (f"None of {len(runs.runs):,} runs fits the filter\n\n", "bold"),
        ("/", "bold $accent"),
        " changes it, ",
        ("esc", "bold $accent"),
        f" clears it.{waits}",
    )
