"""What a parameter is, by its name: the optimizer's groups, estimates and analyses go by it."""

from __future__ import annotations

from typing import Literal

Role = Literal["matrix", "embedding", "head", "norm", "mixing"]


def role_of(name: str) -> Role:
    """The role of a parameter of Transformer."""
    if name.startswith("embedding."):
        return "embedding"
    if name.startswith("head."):
        return "head"
    if "_connection." in name:
        return "mixing"
    return "norm" if name.rpartition(".")[0].endswith("norm") else "matrix"
