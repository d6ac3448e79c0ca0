"""What a looped model loses and saves by leaving early: python -m tests.bench.adaptive_exit RUN... [--tokens 16384].

For every threshold the newest checkpoint of each run reads held-out text with a cache, as generation does: each token leaves
on its own. Printed are the held-out cross-entropy and the turns that a token takes, on average. A row of text is one
document to a cache, so threshold 1 need not be the run's own eval/ce to the last digit.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn

from nanocore.config.schema import Config
from nanocore.data.batch import Batch
from nanocore.data.heldout import validation_slice
from nanocore.data.prepare import prepare
from nanocore.infer.load import load_model
from nanocore.model.loop import Leaving
from nanocore.model.transformer import Transformer
from nanocore.objective.cross_entropy import linear_cross_entropy
from nanocore.runs.layout import cache_root
from tests.bench.copying import newest

THRESHOLDS = (0.0, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.8, 1.0)


class Turns:
    """Counts the turns of all tokens in one reading, from what the gate says after each."""

    def __init__(self, threshold: float) -> None:
        self.total = 0
        self.leaving = Leaving(threshold)

    def __call__(self, gate: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        """A turn was taken by every token that had not left before it."""
        gone = self.leaving.gone
        self.total += logits.numel() - (int(gone.sum()) if gone is not None else 0)
        self.leaving.decide(logits)


@torch.inference_mode()
def read(model: Transformer, batches: list[Batch]) -> tuple[float, float]:
    """Cross-entropy (nats a token), and turns of a token, at the threshold of the model's configuration."""
    assert model.exit_gate is not None
    loop, nats, count, turns, places = model.config.loop, 0.0, 0, 0, 0
    for batch in batches:
        tokens, targets = (torch.from_numpy(each).long() for each in (batch.tokens, batch.targets))  # (B, T)
        counted = Turns(loop.exit_threshold)
        hook = model.exit_gate.register_forward_hook(counted)
        hidden = model(tokens, cache=model.new_cache(len(tokens), tokens.shape[1]))
        hook.remove()
        found = linear_cross_entropy(hidden.flatten(0, 1), model.head_weight, targets.flatten())
        nats, count = nats + float(found.sum), count + int(found.count)
        turns += counted.total or loop.count * tokens.numel()  # threshold 1 asks no gate
        places += tokens.numel()
    return nats / count, turns / places


def changed(config: Config, section: str, **keys: float) -> Config:
    """The configuration with keys of one section at other values."""
    return config.model_copy(update={section: getattr(config, section).model_copy(update=keys)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="its name, or its folder")
    parser.add_argument("--tokens", type=int, default=16384)
    options = parser.parse_args()
    print(f"{'run':32} {'threshold':>9} {'held-out':>9} {'turns':>6}")
    for checkpoint in map(newest, options.runs):
        run = checkpoint.parents[1]
        model, _, config = load_model(checkpoint)
        if config.loop.count == 1:
            raise SystemExit(f"{run.name}: has no loop to leave; name runs with loop.count above 1")
        config = changed(config, "evaluation", tokens=options.tokens)
        batches = validation_slice(prepare(config.data, cache=cache_root()), config).batches
        for threshold in THRESHOLDS:
            model.config = changed(config, "loop", exit_threshold=threshold)
            ce, turns = read(model, batches)
            print(f"{run.name:32} {threshold:9.2f} {ce:9.4f} {turns:6.2f}")


if __name__ == "__main__":
    main()
