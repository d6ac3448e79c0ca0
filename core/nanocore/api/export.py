"""`nanocore.export`: a checkpoint as a file or folder that other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from nanocore.api.arguments import one_of, path_text
from nanocore.api.export_options import meant
from nanocore.api.source import located
from nanocore.checkpoint import manifest
from nanocore.errors import UsageError
from nanocore.export.blocks import Scheme
from nanocore.export.gguf_write import Choice, export_gguf
from nanocore.export.hf_names import HfForm
from nanocore.export.hugging_face import export_hf
from nanocore.export.mhc_file import export_mhc
from nanocore.export.place import checkpoint_of, place_of, run_of
from nanocore.export.replace import refuse_place
from nanocore.export.report import UNKNOWN, ExportReport, Facts, run_facts
from nanocore.export.tensors import HeadType, ScaleMode
from nanocore.infer.load import load_model
from nanocore.infer.locate import Source
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line

To = Literal["gguf", "hf", "mhc"]
NAMES = {"scheme": Scheme, "scale_mode": ScaleMode, "head": HeadType, "architecture": Choice, "form": HfForm}


def export(
    run: str | PathLike[str],
    to: To = "gguf",
    *,
    step: int | Literal["latest", "best"] = "latest",
    output: str | PathLike[str] | None = None,
    scheme: Scheme | None = None,
    scale_mode: ScaleMode | None = None,
    head: HeadType | None = None,
    architecture: Choice | None = None,
    form: HfForm | None = None,
    license: str | None = None,
    force: bool = False,
) -> ExportReport:
    """Write a checkpoint as a GGUF file, a folder for transformers, or a .mhc file.

    `run` is a run (its name or folder) or a checkpoint's folder. Without `output` it goes into the run's `exports`; a
    file goes into an `output` that is a folder. `force` replaces an earlier export, and nothing else.
    `scheme` (else tq2_0), `scale_mode` (tensor), `head` (f16) and `architecture` (auto) are those of GGUF, `form` (plain)
    of a folder; see nanocore.export. A .mhc file holds static stream maps alone. Raises UsageError for an option that
    means nothing for `to`, for what cannot be written so, or for an output that exists without `force`; CheckpointError
    without a checkpoint. Where a damaged one was passed over for an earlier one, that is a CheckpointWarning.
    """
    one_of(To, to=to)
    given = {"scheme": scheme, "scale_mode": scale_mode, "head": head, "architecture": architecture, "form": form}
    options = _known(meant(given | {"license": license}, to))
    license = _licence(options.pop("license", UNKNOWN))
    origin = _origin(located(run, step))
    path = place_of(origin.checkpoint, to, None if output is None else _output(output))
    facts = origin.facts(path, license)
    refuse_place(path, folder=to == "hf", overwrite=force)  # before the work
    model, tokenizer, config = load_model(origin.checkpoint)
    if to == "mhc":
        return export_mhc(model, path, overwrite=force)
    if to == "hf":
        return export_hf(model, tokenizer, config, path, **options, facts=facts, overwrite=force)
    return export_gguf(model, tokenizer, config, path, **options, facts=facts, overwrite=force)


def _known(options: dict[str, Any]) -> dict[str, Any]:
    """The options again. Raises UsageError for one whose value is none of its names."""
    for key, value in options.items():
        if key in NAMES:
            one_of(NAMES[key], **{key: value})
    return options


@dataclass(frozen=True)
class _Origin:
    """A checkpoint, and its run where it still lies in one."""

    checkpoint: Path
    run: RunFolder | None

    def facts(self, path: Path, license: str) -> Facts:
        if self.run is None:
            return Facts(path.stem, license, "A small ternary language model, trained with nanoconsole")
        return run_facts(self.run, manifest.step_of(self.checkpoint), license=license)


def _origin(source: Source) -> _Origin:
    """Raises UsageError for what was exported already."""
    checkpoint = checkpoint_of(source)
    return _Origin(checkpoint, run_of(checkpoint))


def _output(output: str | PathLike[str]) -> Path:
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
