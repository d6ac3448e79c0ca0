"""The reference model of excess-loss filtering (Rho-1): a checkpoint that scores tokens and never learns."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import UsageError
from nanocore.infer.load import load_model
from nanocore.model.bitlinear import freeze
from nanocore.objective.cross_entropy import linear_cross_entropy
from nanocore.objective.goal import Scorer
from nanocore.objective.micro_batch import MicroBatch
from nanocore.train.hardware import Machine


def load_reference(config: Config, tokenizer: Tokenizer, machine: Machine) -> Scorer | None:
    """The scorer that `collider` asks for, or None. UsageError when its vocabulary or context does not fit the run's."""
    collider = config.collider
    if collider.mode == "off" or collider.importance != "excess":
        return None
    path = Path(collider.reference).expanduser()
    if not path.is_dir():
        raise UsageError("is not a checkpoint folder", where="collider.reference", fix="give RUN/checkpoints/step-...")
    model, its_tokenizer, its_config = load_model(path, device=str(machine.device))
    if its_tokenizer.to_json() != tokenizer.to_json():
        raise UsageError(
            "the reference model has another tokenizer",
            where="collider.reference",
            fix="train it on this text, or set data.tokenizer_file to its tokenizer.json",
        )
    if its_config.model.context_length < config.model.context_length:
        raise UsageError("the reference model reads shorter texts", where="collider.reference", fix="choose another")
    freeze(model)

    @torch.no_grad()
    def score(micro: MicroBatch) -> Tensor:
        with machine.autocast():
            hidden = model(micro.tokens, positions=micro.positions, documents=micro.documents)
            loss = linear_cross_entropy(hidden.flatten(0, 1), model.head_weight, micro.targets.flatten())
        return loss.per_token.view_as(micro.targets)

    return score
