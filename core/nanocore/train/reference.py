"""The reference model of excess-loss filtering (Rho-1): a checkpoint that scores tokens and never learns."""

from __future__ import annotations

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
from nanocore.runs.reference_model import KEY, TOKENIZER, reference_path, refuse_unfit
from nanocore.train.hardware import Machine


def load_reference(config: Config, tokenizer: Tokenizer, machine: Machine) -> Scorer | None:
    """The scorer that `collider` asks for, or None. UsageError when it does not fit the run."""
    path = reference_path(config)
    if path is None:
        return None
    refuse_unfit(config)
    model, its_tokenizer, _ = load_model(path, device=str(machine.device))
    if its_tokenizer.to_json() != tokenizer.to_json():
        raise UsageError("the reference model has another tokenizer", where=KEY, fix=TOKENIZER)
    freeze(model)

    @torch.no_grad()
    def score(micro: MicroBatch) -> Tensor:
        with machine.autocast():
            hidden = model(micro.tokens, positions=micro.positions, documents=micro.documents)
            loss = linear_cross_entropy(hidden.flatten(0, 1), model.head_weight, micro.targets.flatten())
        return loss.per_token.view_as(micro.targets)

    return score
