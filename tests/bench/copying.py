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

from nanocore.api.source import located
from nanocore.errors import NanoError
from nanocore.infer.load import load_model
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import read_all


def newest(run: str) -> Path:
    """The newest checkpoint of a run; leaves the program with one line where there is none."""
    try:
        return located(run, "latest").path
    except NanoError as error:
        raise SystemExit(str(error)) from None


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
    parser.add_argument("runs", nargs="+", metavar="RUN", help="its name, or its folder")
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--rows", type=int, default=32)
    options = parser.parse_args()
    print(f"{'run':32} {'held-out':>9} {'first copy':>11} {'second copy':>12}")
    for checkpoint in map(newest, options.runs):
        run = RunFolder(checkpoint.parents[1])
        ends = [record["eval/ce"] for record in read_all(run.metrics_file) if "eval/ce" in record]
        first, second = copies(checkpoint, options.length, options.rows)
        print(f"{run.name:32} {ends[-1] if ends else float('nan'):9.3f} {first:11.3f} {second:12.3f}")


if __name__ == "__main__":
    main()
