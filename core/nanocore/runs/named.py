"""What a configuration names must be there before a run is made of it; a run that crashes at its start would be left."""

from __future__ import annotations

from pathlib import Path

from nanocore.config.machine import lacks_driver
from nanocore.config.matrix_names import matching, matrix_names
from nanocore.config.schema import Config
from nanocore.data.sources import refuse_empty
from nanocore.errors import DataError, ResourceError
from nanocore.files import is_file
from nanocore.runs.reference_model import refuse_unfit
from nanocore.runs.text import sanitize_line


def refuse_absent_device(config: Config) -> None:
    """Raise ResourceError, as the trainer would, for a CUDA device where there is no NVIDIA driver.

    For runs that begin here and now: one that is only made, or waits, may begin on another machine.
    """
    if lacks_driver(config.hardware):
        raise ResourceError(
            "no CUDA device can be used, this machine has no NVIDIA driver",
            where="hardware.device",
            fix="set hardware.device = auto or cpu, or install a driver and a CUDA build of torch",
        )


def refuse_missing(config: Config) -> None:
    """Raise DataError for a source without a file and for a tokenizer file that is not there, UsageError for a reference
    model that cannot be one and for a pattern of FIRE that no matrix has the name of. No text and no weights are read."""
    data = config.data
    refuse_empty(data.sources)
    if data.tokenizer == "file" and not is_file(Path(data.tokenizer_file).expanduser()):
        where = sanitize_line(data.tokenizer_file)
        raise DataError("there is no such file", where=where, fix="data.tokenizer_file names a tokenizer.json")
    if config.fire.at_step:
        matching(matrix_names(config), config.fire.parameters)
    refuse_unfit(config)
