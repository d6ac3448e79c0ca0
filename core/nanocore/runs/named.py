"""What a configuration names must be there before a run is made of it; a run that crashes at its start would be left."""

from __future__ import annotations

from pathlib import Path

from nanocore.config.schema import Config
from nanocore.data.sources import refuse_empty
from nanocore.errors import DataError, UsageError
from nanocore.files import is_file, is_folder
from nanocore.runs.text import sanitize_line


def refuse_missing(config: Config) -> None:
    """Raise DataError for a source without a file and for a tokenizer file that is not there, UsageError for a reference
    model that is no folder. Nothing is read."""
    data, collider = config.data, config.collider
    refuse_empty(data.sources)
    if data.tokenizer == "file" and not is_file(Path(data.tokenizer_file).expanduser()):
        where = sanitize_line(data.tokenizer_file)
        raise DataError("there is no such file", where=where, fix="data.tokenizer_file names a tokenizer.json")
    scored = collider.mode != "off" and collider.importance == "excess"
    if scored and not is_folder(Path(collider.reference).expanduser()):
        raise UsageError("is not a checkpoint folder", where="collider.reference", fix="give RUN/checkpoints/step-...")
