"""What a model computes when nobody quantises its activations, as clients do that know only its weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nanocore.data.tokenizer import Tokenizer
from nanocore.export.tensors import weights_of
from nanocore.model.bitlinear import frozen
from nanocore.model.transformer import Transformer


@dataclass(frozen=True)
class ActivationEffect:
    """Of the same tokens with and without 8-bit activations: the relative difference of the logits (norm of the
    difference over norm), the share of equal best tokens, and both cross-entropies in nats."""

    tokens: int
    difference: float
    same_best: float
    loss: float
    loss_unquantised: float

    def sentence(self) -> str:
        return (
            f"without 8-bit activations logits differ by {self.difference:.2%} on {self.tokens} tokens, the best token "
            f"is the same at {self.same_best:.0%}, cross-entropy is {self.loss_unquantised:.4f} instead of {self.loss:.4f}"
        )


@torch.no_grad()
def activation_effect(model: Transformer, tokenizer: Tokenizer, text: str) -> ActivationEffect:
    """Measured on the first tokens of `text` that the model can read at once."""
    device = model.head_weight.device
    ids = [tokenizer.bos, *tokenizer.encode(text).tolist()][: model.config.model.context_length]
    tokens = torch.tensor([ids], device=device)
    twin = float_twin(model)
    with frozen(model):
        ours = model.logits(model(tokens))[0].double()
    theirs = twin.logits(twin(tokens))[0].double()
    losses = [F.cross_entropy(logits[:-1], tokens[0, 1:]).item() for logits in (ours, theirs)]
    difference = float((theirs - ours).norm() / ours.norm())
    same = float((theirs.argmax(-1) == ours.argmax(-1)).double().mean())
    return ActivationEffect(len(ids), difference, same, losses[0], losses[1])


def float_twin(model: Transformer) -> Transformer:
    """The same model with its ternary weights multiplied out, and activations left alone."""
    weights = weights_of(model)
    own = model.config.model.model_copy(update={"linear": "float", "group_size": 0})
    with torch.device("meta"):
        twin = Transformer(model.config.model_copy(update={"model": own}), model.vocab_size)
    products = {name: _product(weight.codes, weight.scale) for name, weight in weights.ternary.items()}
    twin.load_state_dict(weights.floats | products, assign=True)
    return twin.to(model.head_weight.device).eval()


def _product(codes: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Codes (..., rows, columns) times scales (..., 1, 1) or (..., rows, groups)."""
    return (codes.unflatten(-1, (scale.shape[-1], -1)) * scale.unsqueeze(-1)).flatten(-2)
