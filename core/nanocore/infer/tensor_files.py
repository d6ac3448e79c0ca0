"""What is inside a file of tensors that is no model by itself: safetensors, or the earlier system's .mhc."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from nanocore.export.mhc_file import read_mhc
from nanocore.export.safetensors_read import read_safetensors
from nanocore.export.sealed import check_beside
from nanocore.infer.contents import Contents, TensorFacts, integrity, weights_apart
from nanocore.runs.text import sanitize_line

SUB_LAYERS = ("attention", "feed_forward")


def tensor_file(path: Path) -> Contents:
    """Every tensor, or of a .mhc file the maps H_res, H_pre and H_post of every sub-layer. Raises FormatError."""
    return _mhc(path) if path.suffix == ".mhc" else _safetensors(path)


def _mhc(path: Path) -> Contents:
    """The file holds logits of the maps; `stays` is the mean share of a stream that H_res keeps in it."""
    layers = read_mhc(path)
    stays = sum(float(layer.res.diagonal().mean()) for layer in layers) / len(layers)
    facts = {"streams": len(layers[0].pre), "sub_layers": len(layers), "stays": round(stays, 6)}
    found = Contents("mhc", path.name, str(path), "mhc", {}, facts)
    for index, layer in enumerate(layers):
        place = f"blocks.{index // 2}.{SUB_LAYERS[index % 2]}"
        maps = {"res": layer.res, "pre": layer.pre, "post": layer.post}
        found.tensors.extend(_facts(f"{place}.{name}", tensor) for name, tensor in maps.items())
    return _sized(found, path)


def _safetensors(path: Path) -> Contents:
    tensors = read_safetensors(path)
    found = Contents("safetensors", path.name, str(path), "unknown", {}, {})
    found.tensors.extend(_facts(sanitize_line(name), tensors[name]) for name in sorted(tensors))
    return _sized(found, path)


def _sized(found: Contents, path: Path) -> Contents:
    found.integrity = integrity(check_beside(path))
    found.parts = weights_apart(sum(each.bytes for each in found.tensors), path.stat().st_size)
    return found


def _facts(name: str, tensor: Tensor) -> TensorFacts:
    kind = str(tensor.dtype).removeprefix("torch.")
    return TensorFacts(name, kind, tuple(tensor.shape), tensor.numel() * tensor.element_size())
