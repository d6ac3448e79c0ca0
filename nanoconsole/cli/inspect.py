"""`nanoconsole inspect`: what is inside a run's checkpoint or a file of tensors, read by a worker process."""

from __future__ import annotations

from typing import Any

import typer

from nanoconsole.cli import model as shared
from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit, say, table, tell

PARTS = {"model": "model weights", "optimizer": "optimizer state", "other": "other bytes"}


def register(app: typer.Typer) -> None:
    lines = ("inspect tiny-cpu-0001", "inspect tiny-cpu-0001 --step best --json", "inspect model.gguf")
    app.command("inspect", epilog=examples(*lines))(inspect)


def inspect(model: shared.Model, step: shared.Step = "latest", runs: Runs = None, json: Json = False) -> None:
    """Show what is inside a checkpoint or an exported file.

    What it computes, the bytes of its weights, of the optimizer's state (which only a checkpoint has) and of the rest, its
    settings, then every tensor: type, shape, bytes, and of each ternary matrix its scale (the mean where it has several)
    and the share of zeros. Checkpoints hold latent weights: their zeros are those that the model
    computes with. Of very large models not every matrix is measured.
    """
    request = {"verb": "inspect", **shared.source(model, step, runs)}
    found = shared.answers(request, lambda _: None)["contents"]
    if json:
        return emit(found)
    totals = found["totals"]
    table(("model", found["label"]), [*_summary(found, totals), *sorted(found["facts"].items())])
    tell("")
    headings = ("tensor", "type", "shape", "bytes", "scales", "scale", "zeros")
    table(headings, map(_row, found["tensors"]))
    if totals["not_measured"]:
        say(f"{totals['not_measured']} ternary matrices were not measured: the model is too large for a quick look")
    return None


def _summary(found: dict[str, Any], totals: dict[str, Any]) -> list[tuple[str, Any]]:
    from nanoconsole.services.format import count, size

    return [
        ("kind", found["kind"]),
        ("architecture", found["architecture"]),
        *([("computes", found["description"])] if found["description"] else ()),
        *((PARTS[part], size(held)) for part, held in found["parts"].items()),
        ("all on disk", size(found["bytes"])),
        ("integrity", found["integrity"]),
        ("tensors", totals["tensors"]),
        ("parameters", count(totals["parameters"])),
        ("ternary parameters", count(totals["ternary_parameters"])),
        ("zeros among them", _share(totals["zero_fraction"])),
    ]


def _row(tensor: dict[str, Any]) -> tuple[Any, ...]:
    from nanoconsole.services.format import number

    scale = tensor["scale"] if isinstance(tensor["scale"], str) else number(tensor["scale"])
    shape = " x ".join(map(str, tensor["shape"]))
    sizes = (tensor["name"], tensor["type"], shape, tensor["bytes"])
    return (*sizes, tensor["scales"], scale, _share(tensor["zero_fraction"]))


def _share(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"
