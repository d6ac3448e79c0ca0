"""Runs with checkpoints that were saved without training, for what reads them."""

from __future__ import annotations

import time
from pathlib import Path

from nanocore.checkpoint.state import save_checkpoint
from nanocore.data.tokenizer import ByteTokenizer
from nanocore.model.transformer import Transformer
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter
from tests.tiny import new_run

BYTES = ByteTokenizer()


def saved_run(root: Path, *sets: str, name: str = "saved", steps: tuple[int, ...] = (3,)) -> RunFolder:
    """A run of a tiny byte model with a checkpoint at each of `steps`; other steps have other weights."""
    run = new_run(root, *sets, name=name)
    for step in steps:
        save_step(run, step)
    return run


def save_step(run: RunFolder, step: int) -> Path:
    from nanocore.config.toml import load

    config = load(run.config_file)
    model = Transformer(config, BYTES.vocab_size)
    model.initialise(step)
    state = {"config": config.model_dump(mode="json")}
    return save_checkpoint(
        run, step, model=dict(model.state_dict()), optimizer={}, state=state, tokenizer_json=BYTES.to_json()
    )


def write_losses(run: RunFolder, losses: dict[int, float], attempt: int = 1) -> None:
    """Held-out losses as the trainer records them, beside a training record of each step."""
    writer = RecordWriter(run.metrics_file)
    for step, loss in losses.items():
        stamp = {"step": step, "attempt": attempt, "time": time.time()}
        writer.write({**stamp, "loss/ce": 9.0})
        writer.write({**stamp, "eval/ce": loss})
    writer.close()
