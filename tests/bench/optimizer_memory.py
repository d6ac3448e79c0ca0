"""Bytes of optimizer state of the matrices: python -m tests.bench.optimizer_memory [--preset nano-125m].

Counted from the tensors that training allocates, on the `meta` device, which gives them every size but no memory. Shares
are of Muon with float32 momentum; AdamW stands beside it.
"""

from __future__ import annotations

import argparse

import torch

from nanocore.config.estimate import vocabulary
from nanocore.config.resolve import resolve
from nanocore.model.transformer import Transformer
from nanocore.optim.optimizers import Optimizers

PLAIN = ["optimizer.state=float32", "galore.rank_fraction=0"]
VARIANTS = {
    "Muon": PLAIN,
    "AdamW": [*PLAIN, "optimizer.matrices=adamw"],
    "8-bit Muon, linear": ["optimizer.state=int8", "galore.rank_fraction=0"],
    "8-bit Muon, dynamic": ["optimizer.state=int8-dynamic", "galore.rank_fraction=0"],
    "GaLore-Muon 1/4": ["optimizer.state=float32", "galore.rank_fraction=0.25", "galore.projector=float32"],
    "GaLore-Muon 1/4, 8-bit": ["optimizer.state=int8", "galore.rank_fraction=0.25", "galore.projector=float32"],
    "the same, projector int8": ["optimizer.state=int8", "galore.rank_fraction=0.25", "galore.projector=int8"],
    "the same, projector int4": ["optimizer.state=int8", "galore.rank_fraction=0.25", "galore.projector=int4"],
}


def matrix_bytes(preset: str, sets: list[str]) -> int:
    """Live bytes of all state that belongs to a matrix."""
    config = resolve(preset, sets)
    with torch.device("meta"):
        model = Transformer(config, vocabulary(config))
        state = Optimizers(model, config).state_tensors()
    matrices = tuple(f"{name}." for name, role in model.roles().items() if role == "matrix")
    return sum(tensor.untyped_storage().nbytes() for name, tensor in state.items() if name.startswith(matrices))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="nano-125m")
    preset = parser.parse_args().preset
    found = {name: matrix_bytes(preset, sets) for name, sets in VARIANTS.items()}
    for name, size in found.items():
        print(f"{name:<26} {size:>13,} bytes  {100 * size / found['Muon']:6.1f} %")


if __name__ == "__main__":
    main()
