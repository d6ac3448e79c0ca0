"""`nanoconsole layers`: what was measured of each layer of a run, as tables, JSON or CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, table, tell, write
from nanocore.errors import UsageError

if TYPE_CHECKING:
    from nanocore.runs.layout import RunFolder
    from nanocore.runs.records import Record

STAMP = ("schema", "step", "attempt", "time", "kind", "nonfinite")  # of every record; a table shows what else it holds
STREAMS = {  # the columns of residual streams that fit a terminal, with short headings
    "health": "health",
    "stream_cosine": "cosine",
    "gain": "gain",
    "gain_backward": "back",
    "least_column_sum": "least",
    "forward_norm_ratio": "fwd norm",
    "backward_norm_ratio": "bwd norm",
    "second_eigenvalue": "eigen 2",
    "mixing_entropy": "entropy",
    "pre_spread": "pre",
    "post_spread": "post",
}


def register(app: typer.Typer) -> None:
    lines = (
        "layers tiny-cpu-0001",
        "layers tiny-cpu-0001 --step 100 --json",
        "layers tiny-cpu-0001 --csv > layers.csv",
    )
    app.command("layers", epilog=examples(*lines))(layers)


def layers(
    run: Run,
    step: Annotated[int | None, typer.Option("--step", min=1, help="Only what was measured at this step.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every measurement as one CSV table.")] = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Show what was measured of each layer.

    The newest measurement of each kind, or that at --step: residual streams and their health, ternary weights and what
    else the run measures. --json and --csv print every measurement unless --step chooses one.

    Of streams: how alike they are (cosine), the gain of all maps up to there, forward and back, the least column sum
    of that product, by how much norms really grow, forward and backward, second eigenvalue and entropy of the mixing,
    spread of what is read (pre) and written (post). docs/techniques/hyper-connections.md says what is healthy.
    """
    from nanocore.runs.layout import find_run, run_root

    if json and as_csv:
        raise UsageError("--json and --csv exclude each other", fix="give one of them")
    records = _records(find_run(run_root(runs), run), step)
    if json:
        return emit({"run": run, "metrics": _metrics(records), "records": records})
    if as_csv:
        return write(_csv(records))
    return _show(records)


def _records(folder: RunFolder, step: int | None) -> list[Record]:
    """All measurements that still stand after resumes, or those of one step. Raises UsageError when there are none."""
    from nanocore.runs.curve import newest_attempts
    from nanocore.runs.records import read_all

    records = newest_attempts(read_all(folder.layers_file))
    if not records:
        how = "mhc.every and logging.layers_every say how many steps lie between measurements"
        raise UsageError("nothing was measured yet", where=folder.name, fix=how)
    chosen = [record for record in records if step is None or record["step"] == step]
    if not chosen:
        nearest = min((record["step"] for record in records), key=lambda measured: abs(measured - (step or 0)))
        raise UsageError(f"nothing was measured at step {step}", where=folder.name, fix=f"the nearest is {nearest}")
    return chosen


def _metrics(records: list[Record]) -> list[dict[str, Any]]:
    """What the screen Layers shows of the records: each metric with its healthy range, its extremes and its worst row."""
    from nanoconsole.services.layers import LayerHistory

    history = LayerHistory()
    history.add(records)
    return [history.facts(metric) for metric in history.metrics()]


def _show(records: list[Record]) -> None:
    """A table for each kind of measurement, at its newest step."""
    kinds = dict.fromkeys(str(record.get("kind")) for record in records)
    for index, kind in enumerate(kinds):
        rows = [record for record in records if str(record.get("kind")) == kind]
        newest = max(record["step"] for record in rows)
        tell(f"{'' if index == 0 else chr(10)}{kind}, step {newest}")
        _table(kind, [_flat(record) for record in rows if record["step"] == newest])


def _table(kind: str, rows: list[Record]) -> None:
    keys = dict.fromkeys(key for row in rows for key in row if key not in STAMP)
    if kind == "streams":
        keys = {key: heading for key, heading in {"name": "layer", **STREAMS}.items() if key in keys}
    else:
        keys = {key: key.replace("_", " ") for key in keys if "." not in key}
    table(list(keys.values()), ([_cell(row.get(key)) for key in keys] for row in rows))
    for row in rows:
        if row.get("reason"):
            tell(f"{row.get('name')}: {row['reason']}")


def _cell(value: Any) -> Any:
    from nanoconsole.services import format

    return format.number(value) if isinstance(value, float) else value


def _flat(record: Record) -> Record:
    """Lists as `key.0`, `key.1`; numbers that are not finite in words."""
    words = record.get("nonfinite")
    flat: Record = {}
    for key, value in record.items():
        flat |= (
            {f"{key}.{index}": item for index, item in enumerate(value)} if isinstance(value, list) else {key: value}
        )
    return flat | (words if isinstance(words, dict) else {})


def _csv(records: list[Record]) -> str:
    """One row a record; a column for every key of any record."""
    rows = [_flat(record) for record in records]
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "nonfinite"]
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
