"""A report as one HTML page: nothing is fetched, nothing runs, every text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nanoconsole.services.reports.plot import Plot
from nanoconsole.services.reports.svg import svg
from nanoconsole.services.reports.tables import Table, of_run, tables, title_of, when

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2233; background: #fff; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid #cfd6e4; padding: .25rem .6rem; text-align: left; vertical-align: top; }
th { background: #f1f3f8; }
pre { background: #f1f3f8; padding: .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
p.note { color: #4c556e; }
svg { max-width: 48rem; display: block; }
""".strip()


def page(document: Mapping[str, Any], plots: Sequence[Plot]) -> str:
    title = escape(title_of(document))
    parts = [f"<h1>{title}</h1>", f'<p class="note">Made by nanoconsole, {escape(when(document["created"]))}.</p>']
    parts += [part for table in tables(document) for part in _table(table, 2)]
    if plots:
        parts.append("<h2>Curves</h2>")
        parts.append(
            '<p class="note">The faint area holds every point, the line is smoothed; ✕ marks values that were not finite.</p>'
        )
    for plot in plots:
        unit = f" ({escape(plot.unit)})" if plot.unit else ""
        parts += [f"<h3>{escape(plot.metric)}{unit}</h3>", f'<p class="note">{escape(plot.help)}</p>', svg(plot)]
    for run in document["runs"]:
        parts += [f"<h2>{escape(run['name'])}</h2>", *_of_run(run)]
    return frame(title, parts)


def frame(title: str, parts: Sequence[str]) -> str:
    """A whole page around its parts; `title` is escaped already."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n<style>\n{STYLE}\n</style>\n'
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _of_run(run: Mapping[str, Any]) -> list[str]:
    parts = [part for table in of_run(run) for part in _table(table, 3)]
    for sample in run["samples"]:
        text = escape(sample["problem"] or sample["prompt"] + sample["text"])
        parts += [f"<h3>Sample at step {sample['step']:,}</h3>", f"<pre>{text}</pre>"]
    return parts


def _table(table: Table, level: int) -> list[str]:
    note = [f'<p class="note">{escape(table.note)}</p>'] if table.note else []
    return [f"<h{level}>{escape(table.title)}</h{level}>", rows_of(table.headings, table.rows), *note]


def rows_of(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain texts."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in headings)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"
