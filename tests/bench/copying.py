"""Whether a model copies what it has read: python -m tests.bench.copying RUN... [--length 96] [--rows 32].

Each row is a random sequence of tokens, twice. A model that has learned to look for the last occurrence of a token and to
repeat what followed it (induction heads, arXiv 2209.11895) predicts the second copy; no other knowledge helps. Printed are
the cross-entropies of both copies by each run's newest checkpoint, beside its last held-out loss.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nanocore.infer.load import load_model
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import read_all


def copies(checkpoint: Path, length: int, rows: int) -> tuple[float, float]:
    """Cross-entropy (nats a token) of the first and of the second copy; both without the copy's first token."""
    model, tokenizer, _ = load_model(checkpoint)
    generator = torch.Generator().manual_seed(1)
    once = torch.randint(tokenizer.vocab_size, (rows, length), generator=generator)
    tokens = torch.cat([once, once], dim=1)  # (rows, 2 length)
    with torch.inference_mode():
        logits: Tensor = model.logits(model(tokens[:, :-1]))
    losses = F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")  # (rows, 2 length - 1)
    return losses[:, : length - 1].mean().item(), losses[:, length:].mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--rows", type=int, default=32)
    options = parser.parse_args()
    print(f"{'run':32} {'held-out':>9} {'first copy':>11} {'second copy':>12}")
    for run in options.runs:
        folder = RunFolder(run)
        ends = [record["eval/ce"] for record in read_all(folder.metrics_file) if "eval/ce" in record]
        first, second = copies(max(folder.checkpoints_dir.glob("step-*")), options.length, options.rows)
        print(f"{run.name:32} {ends[-1]:9.3f} {first:11.3f} {second:12.3f}")


if __name__ == "__main__":
    main()
