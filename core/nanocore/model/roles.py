"""What a parameter is, by its name: the optimizer's groups, estimates and analyses go by it."""

from __future__ import annotations

from typing import Literal

Role = Literal["matrix", "embedding", "head", "norm", "mixing"]
# Stream maps, routers, exit gates, and the small float parts of DeltaNet: orthogonal updates mean nothing to them.
MIXING = ("_connection.", ".router.", ".strength.", ".decay.", ".convolution.", "exit_gate.weight", "exit_gate.bias")


def role_of(name: str) -> Role:
    """The role of a parameter of Transformer."""
    if name.startswith("embedding."):
        return "embedding"
    if name.startswith("head."):
        return "head"
    if any(part in name for part in MIXING):
        return "mixing"
    return "norm" if name.rpartition(".")[0].endswith("norm") else "matrix"
