"""The report of an experiment as Markdown that is readable as plain text too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def markdown(document: dict[str, Any]) -> str:
    """The document of `report` as Markdown."""
    lines = [f"# Comparison {document['name']}", "", *_introduction(document), ""]
    for key, title in (("equal_steps", "Equal steps (same tokens)"), ("equal_time", "Equal training time")):
        if document[key]:
            lines += [f"## {title}", "", *_quality(document[key]), "", *_cost(document[key]), ""]
    lines += ["## Differences from the baseline", "", *_configurations(document["variants"])]
    missing = [
        line for run in document["runs"] if not _has_result(run) for line in [f"- {run['run']}: {run['reason']}"]
    ]
    if missing:
        lines += ["", "## Runs without a result", "", *missing]
    return "\n".join(lines) + "\n"


def _has_result(run: dict[str, Any]) -> bool:
    return run["times"] is not None or (run["bits_per_byte"] is not None and run["ce"] is not None)


def _introduction(document: dict[str, Any]) -> list[str]:
    seeds = ", ".join(str(seed) for seed in document["seeds"])
    lines = [
        f"{document['preset']}, {document['steps']} steps, seeds {seeds}, {document['threads']} thread(s) a run. "
        "Differences are variant minus baseline, paired by seed, with a 95 % Student-t interval; below 0 is better. "
        "p is Holm-corrected over the variants of a table.",
        "",
        f"Power: {document['power_words']}.",
    ]
    if not document["complete"]:
        lines += ["", "NOT COMPLETE: some runs have no result; they are listed below."]
    lines += ["", *(f"Warning: {text}." for text in document["warnings"])] if document["warnings"] else []
    for one in document["machines"]:
        machine = ", ".join(f"{key} {value}" for key, value in (one["machine"] or {}).items())
        versions = ", ".join(f"{key} {value}" for key, value in (one["versions"] or {}).items() if value)
        lines += ["", f"Machine: {machine}. Versions: {versions}. Revision: {one['git'] or 'unknown'}."]
    return lines


def _quality(rows: list[dict[str, Any]]) -> list[str]:
    """Held-out measures by variant."""
    heads = ("variant", "seeds", "bits/byte", "± seeds", "difference", "95 % interval", "p", "CE", "CE difference %")
    body = []
    for row in rows:
        bits, percent = row["difference"] or {}, row["ce_difference_percent"] or {}
        p = row["corrected_p"] if row["corrected_p"] is not None else bits.get("p")
        body.append(
            [
                row["variant"], f"{row['finished']} of {row['seeds']}", _n(row["bits_per_byte"]),
                _n(row["bits_per_byte_deviation"]), _n(bits.get("mean"), "+.4f"), _interval(bits, "+.4f"),
                _n(p, ".3g"), _n(row["ce"]), f"{_n(percent.get('mean'), '+.2f')} {_interval(percent, '+.2f')}".removesuffix(" –"),
                row["verdict"] or "–",
            ]
        )  # fmt: skip
    return _table([*heads, "verdict"], body)


def _cost(rows: list[dict[str, Any]]) -> list[str]:
    """Time and memory by variant."""
    heads = (
        "variant", "steps", "tokens", "training s", "tok/s", "step ms", "step ms alone", "optimizer MiB", "peak MiB",
    )  # fmt: skip
    body = [
        [
            row["variant"], _n(row["steps"], ".0f"), _n(row["tokens"], ".0f"), _n(row["seconds"], ".1f"),
            _n(row["tokens_per_second"], ".0f"), _n(row["step_seconds"], ".2f", 1e3),
            _n(row["step_seconds_alone"], ".2f", 1e3), _n(row["optimizer_bytes"], ".3f", 2**-20),
            f"{_n(row['peak_bytes'], '.1f', 2**-20)} {row['peak_of']}".strip(),
        ]
        for row in rows
    ]  # fmt: skip
    return _table(heads, body)


def _configurations(found: dict[str, list[str]]) -> list[str]:
    return [f"- {name}: {'; '.join(different) or 'none'}" for name, different in found.items()]


def _interval(values: dict[str, Any], form: str) -> str:
    if values.get("low") is None:
        return "–"
    return f"[{values['low']:{form}}, {values['high']:{form}}]"


def _n(value: float | None, form: str = ".4f", scale: float = 1.0) -> str:
    return "–" if value is None else f"{value * scale:{form}}"


def _table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with aligned columns."""
    cells = [[text.replace("|", "\\|") for text in line] for line in (heads, *body)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    rows = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [rows[0], rule, *rows[1:]]
