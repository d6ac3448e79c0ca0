"""`nanocore.export`: a checkpoint as a file or folder that other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, TypedDict

from nanocore.api.arguments import one_of, path_text, step_of
from nanocore.checkpoint import manifest
from nanocore.errors import UsageError
from nanocore.export.blocks import Scheme
from nanocore.export.gguf_write import Choice, export_gguf
from nanocore.export.hf_names import HfForm
from nanocore.export.hugging_face import export_hf
from nanocore.export.mhc_file import export_mhc
from nanocore.export.replace import refuse_existing
from nanocore.export.report import UNKNOWN, ExportReport, Facts, default_path, run_facts
from nanocore.export.tensors import HeadType, ScaleMode
from nanocore.infer.load import load_model
from nanocore.infer.locate import Source, locate, named
from nanocore.runs.layout import RunFolder, run_root
from nanocore.runs.text import sanitize_line

To = Literal["gguf", "hf", "mhc"]
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
    architecture: Choice = "auto",
    form: HfForm = "plain",
    license: str = UNKNOWN,
    force: bool = False,
) -> ExportReport:
    """Write a checkpoint as a GGUF file, a folder for transformers, or a .mhc file.

    `run` is a run (its name or folder) or a checkpoint's folder. Without `output` it goes into the run's `exports`.
    `scheme`, `scale_mode`, `head` and `architecture` are those of GGUF, `form` of a folder; see nanocore.export. A .mhc
    file holds static stream maps alone. Raises UsageError for what cannot be written so, or for an output that exists
    without `force`; CheckpointError without a checkpoint.
    """
    one_of(To, to=to)
    one_of(HfForm, form=form)
    one_of(Scheme, scheme=scheme)
    one_of(ScaleMode, scale_mode=scale_mode)
    one_of(HeadType, head=head)
    one_of(Choice, architecture=architecture)
    origin = _origin(locate(named(path_text(run), run_root()), step_of(step)))
    path = _place(output) if output is not None else origin.path(to)
    facts = origin.facts(path, _licence(license))
    refuse_existing(path, overwrite=force)  # before the work
    model, tokenizer, config = load_model(origin.checkpoint)
    if to == "mhc":
        return export_mhc(model, path, overwrite=force)
    if to == "hf":
        return export_hf(model, tokenizer, config, path, form=form, facts=facts, overwrite=force)
    gguf: _Gguf = {"scheme": scheme, "scale_mode": scale_mode, "head": head, "architecture": architecture}
    return export_gguf(model, tokenizer, config, path, **gguf, facts=facts, overwrite=force)


class _Gguf(TypedDict):
    scheme: Scheme
    scale_mode: ScaleMode
    head: HeadType
    architecture: Choice


@dataclass(frozen=True)
class _Origin:
    """A checkpoint, and its run where it still lies in one."""

    checkpoint: Path
    run: RunFolder | None

    def path(self, to: To) -> Path:
        """Where the export goes when nobody says where. Raises UsageError outside a run."""
        if self.run is None:
            what, fix = "lies in no run, so nothing says where its export goes", "name a place with --output"
            raise UsageError(what, where=self.checkpoint.name, fix=fix)
        return default_path(self.run, manifest.step_of(self.checkpoint), SUFFIXES[to]).absolute()

    def facts(self, path: Path, license: str) -> Facts:
        if self.run is None:
            return Facts(path.stem, license, "A small ternary language model, trained with nanoconsole")
        return run_facts(self.run, manifest.step_of(self.checkpoint), license=license)


def _origin(source: Source) -> _Origin:
    """Raises UsageError for what was exported already: its weights are quantised for good."""
    if source.kind != "checkpoint":
        what = {"gguf": "is a GGUF file already", "hf": "is a Hugging Face folder already"}[source.kind]
        raise UsageError(what, where=source.label, fix="export takes a run or the folder of a checkpoint")
    run = RunFolder(source.path.parent.parent)
    inside = run.run_file.is_file() and source.path in manifest.available(run.checkpoints_dir)
    return _Origin(source.path, run if inside else None)


def _place(output: str | PathLike[str]) -> Path:
    """Raises UsageError for what is no path."""
    text = path_text(output)
    if not text or "\0" in text:
        raise UsageError("is no path of a file", where="output", fix="leave it out, or give one with --output")
    return Path(text).expanduser().absolute()


def _licence(text: str) -> str:
    """The text of a licence. Raises UsageError for what is none."""
    if not isinstance(text, str) or not text.strip():
        raise UsageError(
            "a licence is a text that is not empty", where="license", fix="leave it out where it is unknown"
        )
    return sanitize_line(text)
