"""How data, training and what it leaves behind break."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.validation.breakages.breakage import Patch, caught_by


@caught_by("data", "comes back as")
def a_tokenizer_that_loses_text(patch: Patch) -> None:
    from nanocore.data.tokenizer import ByteTokenizer

    right = ByteTokenizer.decode
    patch.setattr(ByteTokenizer, "decode", lambda self, ids: right(self, ids).replace("\r", ""))


@caught_by("data", "targets are not the next token")
def targets_off_by_one(patch: Patch) -> None:
    from nanocore.data import stream

    right = stream.make_batch

    def wrong(*parts: Any, **options: Any) -> Any:
        batch = right(*parts, **options)
        return replace(batch, targets=np.roll(batch.targets, -1, axis=1))

    patch.setattr(stream, "make_batch", wrong)


@caught_by("data", "is another after a resume")
def a_data_position_that_is_forgotten(patch: Patch) -> None:
    from nanocore.data import stream

    right = stream.positions
    patch.setattr(stream, "positions", lambda tokens, width, seed, _=None: right(tokens, width, seed))


@caught_by("data", "another seed gives the same first batch")
def an_order_that_no_seed_changes(patch: Patch) -> None:
    from nanocore.data import stream

    right = stream.epoch_order
    patch.setattr(stream, "epoch_order", lambda tokens, width, seed: right(tokens, width, [0, *seed[1:]]))


@caught_by("data", "measures read other text")
def measures_on_text_that_is_trained_on(patch: Patch) -> None:
    from nanocore.data import heldout

    right = heldout._scored

    def wrong(rows: np.ndarray, corpus: Any, config: Any) -> Any:
        return right(corpus.train[0].tokens[: rows.size].reshape(rows.shape), corpus, config)

    patch.setattr(heldout, "_scored", wrong)


# What training leaves


@caught_by("training", "nats less")
def an_optimizer_that_does_not_step(patch: Patch) -> None:
    from nanocore.optim.optimizers import Optimizers

    patch.setattr(Optimizers, "step", lambda *_: None)


@caught_by("training", "the first loss off ln 257", slow=True)
def an_embedding_that_begins_too_large(patch: Patch) -> None:
    from nanocore.model import initialise

    patch.setattr(initialise, "embedding_std", lambda *_: 1.0)


@caught_by("training", "held-out bits per byte", slow=True)
def bits_per_byte_of_other_bytes(patch: Patch) -> None:
    from nanocore.data.heldout import HeldOut

    patch.setattr(HeldOut, "target_bytes", property(lambda self: len(self.text) - 9))


@caught_by("training", "off the saved model's on held-out text", slow=True)
def a_trainer_that_measures_on_training_text(patch: Patch) -> None:
    from nanocore.train import build

    right = build.validation_slice

    def wrong(corpus: Any, config: Any) -> Any:
        return right(replace(corpus, validation=corpus.train[0]), config)

    patch.setattr(build, "validation_slice", wrong)


@caught_by("training", "evaluations and samples changed", slow=True)
def an_evaluation_that_changes_weights(patch: Patch) -> None:
    from nanocore.train import measure

    right = measure.evaluate

    def drifting(model: Any, *rest: Any) -> dict[str, float]:
        with torch.no_grad():
            model.head_weight.mul_(0.999)
        return right(model, *rest)

    patch.setattr(measure, "evaluate", drifting)


@caught_by("records", "tokens a second", slow=True)
def tokens_counted_twice_in_the_speed(patch: Patch) -> None:
    from nanocore.train.window import Window

    right = Window.add
    patch.setattr(Window, "add", lambda self, result, tokens: right(self, result, 2 * tokens))


@caught_by("records", "step [3] is recorded [0] times", slow=True)
def a_metrics_line_lost(patch: Patch) -> None:
    from nanocore.runs.records import RecordWriter

    right = RecordWriter.write
    patch.setattr(RecordWriter, "write", lambda self, record: record.get("step") == 3 or right(self, record))


@caught_by("records", "in TensorBoard")
def a_wrong_value_in_tensorboard(patch: Patch) -> None:
    from nanocore.train.event_file import EventFile

    right = EventFile.scalars

    def wrong(self: EventFile, values: dict[str, float], step: int) -> None:
        right(self, {tag: value * 1.001 for tag, value in values.items()}, step)

    patch.setattr(EventFile, "scalars", wrong)


@caught_by("records", "off its schedule", slow=True)
def a_learning_rate_told_one_step_late(patch: Patch) -> None:
    from nanocore.train import telemetry

    right = telemetry.lr_factor
    patch.setattr(telemetry, "lr_factor", lambda schedule, step, steps: right(schedule, step + 1, steps))


@caught_by("nonfinite", "applied with loss")
def a_poisoned_batch_applied(patch: Patch) -> None:
    from nanocore.train.step import StepResult

    patch.setattr(StepResult, "finite", property(lambda self: True))


@caught_by("checkpoint", "tensors differ")
def a_checkpoint_that_rounds(patch: Patch) -> None:
    from nanocore.checkpoint import state

    right = state.load_file

    def wrong(path: Any) -> dict[str, Tensor]:
        return {name: tensor.bfloat16().to(tensor.dtype) for name, tensor in right(path).items()}

    patch.setattr(state, "load_file", wrong)


@caught_by("checkpoint", "a flipped bit was not noticed")
def damage_that_is_not_looked_for(patch: Patch) -> None:
    from nanocore.checkpoint import manifest

    right = manifest.examine
    patch.setattr(manifest, "examine", lambda path, hashes=True: right(path, hashes=False))


@caught_by("resume", "has loss")
def an_optimizer_state_dropped_on_resume(patch: Patch) -> None:
    from nanocore.optim.optimizers import Optimizers

    patch.setattr(Optimizers, "load_state_tensors", lambda *_: None)


@caught_by("resume", "resume-states: ", slow=True)
def random_numbers_that_are_not_restored(patch: Patch) -> None:
    from nanocore.optim.optimizers import Optimizers

    right = Optimizers.load_state_tensors

    def wrong(self: Optimizers, tensors: Any) -> None:
        right(self, {name: each * 0 if name.endswith("_writes") else each for name, each in tensors.items()})

    patch.setattr(Optimizers, "load_state_tensors", wrong)


@caught_by("resume", "has loss", slow=True)
def a_resume_that_begins_the_data_anew(patch: Patch) -> None:
    from nanocore.train import build

    right = build.stored_progress
    patch.setattr(build, "stored_progress", lambda checkpoint: replace(right(checkpoint), loader=None))


@caught_by("kill", "differ after the kill", slow=True)
def a_killed_run_that_goes_on_without_its_optimizer(patch: Patch) -> None:
    an_optimizer_state_dropped_on_resume(patch)


@caught_by("kill", "it ended by itself with 0", slow=True)
def a_trainer_that_never_saves(patch: Patch) -> None:
    from nanocore.runs import spawn

    right = spawn.start_detached
    patch.setattr(
        spawn, "start_detached", lambda _, *rest, **more: right("tests.validation.unsaving_trainer", *rest, **more)
    )
