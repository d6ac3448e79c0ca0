"""`nanocore.export`: a run's checkpoint as a file or folder that other programs read."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Literal

from nanocore.api.arguments import one_of, path_text, step_of
from nanocore.checkpoint import manifest
from nanocore.errors import UsageError
from nanocore.export.blocks import Scheme
from nanocore.export.gguf_write import export_gguf
from nanocore.export.hugging_face import HfForm, export_hf
from nanocore.export.mhc_file import export_mhc
from nanocore.export.report import UNKNOWN, ExportReport, default_path, run_facts
from nanocore.export.tensors import HeadType, ScaleMode
from nanocore.infer.load import load_model
from nanocore.infer.locate import locate, named
from nanocore.runs.layout import RunFolder, run_root

To = Literal["gguf", "hf", "mhc"]
Architecture = Literal["auto", "stock", "nanoconsole"]
SUFFIXES = {"gguf": ".gguf", "hf": "-hf", "mhc": ".mhc"}


def export(
    run: str | PathLike[str],
    to: To = "gguf",
    *,
    step: int | Literal["latest", "best"] = "latest",
    output: str | PathLike[str] | None = None,
    scheme: Scheme = "tq2_0",
    scale_mode: ScaleMode = "tensor",
    head: HeadType = "f16",
    architecture: Architecture = "auto",
    form: HfForm = "plain",
    license: str = UNKNOWN,
    force: bool = False,
) -> ExportReport:
    """Write a checkpoint of a run (its name or folder) as a GGUF file, a folder for transformers, or a .mhc file.

    Without `output` it goes into the run's `exports`. `scheme`, `scale_mode`, `head` and `architecture` are those of
    GGUF, `form` of a folder; see nanocore.export. A .mhc file holds static stream maps alone. Raises UsageError for what
    cannot be written so, or for an output that exists without `force`; CheckpointError without a checkpoint.
    """
    one_of(To, to=to)
    one_of(Scheme, scheme=scheme)
    one_of(ScaleMode, scale_mode=scale_mode)
    one_of(HeadType, head=head)
    one_of(Architecture, architecture=architecture)
    one_of(HfForm, form=form)
    folder = RunFolder(named(path_text(run), run_root()))
    if not folder.run_file.is_file():
        raise UsageError("is not a run", where=str(folder.path), fix="only runs are exported")
    source = locate(folder.path, step_of(step))
    number = manifest.step_of(source.path)
    model, tokenizer, config = load_model(source.path)
    path = Path(output).expanduser() if output else default_path(folder, number, SUFFIXES[to])
    if to == "mhc":
        return export_mhc(model, path.absolute(), overwrite=force)
    facts = run_facts(folder, number, license=license)
    if to == "hf":
        return export_hf(model, tokenizer, config, path.absolute(), form=form, facts=facts, overwrite=force)
    return export_gguf(
        model,
        tokenizer,
        config,
        path.absolute(),
        architecture=architecture,
        scheme=scheme,
        scale_mode=scale_mode,
        head=head,
        facts=facts,
        overwrite=force,
    )
