"""The run that several checks look at: the real trainer, in this process, on real text."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from nanocore.checkpoint.manifest import latest
from nanocore.checkpoint.state import MODEL, OPTIMIZER
from nanocore.errors import ResourceError
from nanocore.runs.curve import newest_attempts
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import Record, read_all
from nanocore.runs.status import read_status
from nanocore.train.__main__ import main
from nanocore.validation.outcome import NotRun, expect
from nanocore.validation.tables import library_files, library_sets
from nanocore.validation.workshop import Workshop

NAME = "reference"
STEPS, LONG = 30, 300
SETS = (
    "model.d_model=48", "model.d_ff=96", "model.context_length=48", "training.batch_size=8", "mhc.dynamic=true",
    "schedule.warmup_steps=2", "evaluation.tokens=960", "evaluation.every=15", "logging.tensorboard=true",
    "logging.layers_every=20", "optimizer.embedding_lr=0.01", "mhc.every=20",
)  # fmt: skip


def reference(workshop: Workshop) -> RunFolder:
    """The finished run; made by the first check that asks. Raises NotRun without text, Failed where training fails."""
    run = workshop.shared(NAME)
    if run is None:
        if not library_files():
            raise NotRun("this Python comes without the source of its library")
        steps = LONG if workshop.full else STEPS
        run = workshop.new_run(NAME, *SETS, *library_sets(), f"training.steps={steps}")
        train(run)
        workshop.share(NAME, run)
    return run


def train(run: RunFolder) -> None:
    """The trainer to the end of the run. It sets the number of threads for itself. Raises ResourceError for no room."""
    threads = torch.get_num_threads()
    try:
        code = main([str(run.path)])
    finally:
        torch.set_num_threads(threads)
    if code == ResourceError.exit_code:
        status = read_status(run)
        raise ResourceError(status.message if status else "the trainer found no room", where=run.name)
    expect(code == 0, f"{run.name}: the trainer ended with {code}", "exit code 0")


def metrics(run: RunFolder) -> list[Record]:
    """What holds of the run: of each step the newest attempt."""
    return newest_attempts(read_all(run.metrics_file))


def losses(run: RunFolder) -> dict[int, float]:
    """Training loss by step."""
    return {record["step"]: record["loss/ce"] for record in metrics(run) if "loss/ce" in record}


def newest(run: RunFolder) -> Path:
    """The newest checkpoint. Raises Failed where there is none."""
    path = latest(run.checkpoints_dir)
    expect(path is not None, f"{run.name}: no checkpoint", "one at its end")
    assert path is not None
    return path


def saved(run: RunFolder) -> dict[str, Tensor]:
    """All tensors of the newest checkpoint."""
    path = newest(run)
    optimizer = {f"optimizer.{name}": tensor for name, tensor in load_file(path / OPTIMIZER).items()}
    return {**load_file(path / MODEL), **optimizer}
