"""The earlier system's .mhc side file: static stream maps of every sub-layer, written from a model and read back.

Little-endian: magic, version 2, number of sub-layers (attention then feed-forward of each block), number of streams n;
then for each sub-layer float32 values:
    n = 2: alpha_logit, pre_logits[2], pre_bias[2], post_logits[2], post_bias[2]
           H_res = [[a, 1 - a], [1 - a, a]] with a = sigmoid(alpha_logit), H_pre = sigmoid(logits + bias),
           H_post = 2 sigmoid(logits + bias)
    n = 4: res[24], pre[4], pre_bias[4], post[4], post_bias[4]
           H_res = sum of softmax(res)_k P_k over the permutations in lexicographic order, H_post = 4 sigmoid(...)
The maps are ours by these formulas. The earlier system mixes streams after it adds a layer's output, we before, so its
engine computes another model from the same maps.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from math import factorial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.errors import FormatError, ResourceError, UsageError, remedy
from nanocore.export.replace import refuse_place, write_new
from nanocore.export.report import ExportReport
from nanocore.export.sealed import beside, check_beside, write_beside
from nanocore.files import read_regular
from nanocore.model.hyper_connections import HyperConnection
from nanocore.model.residual_maps import doubly_stochastic
from nanocore.model.transformer import Transformer
from nanocore.runs.text import sanitize_line

MAGIC, VERSIONS = 0x6D484321, (1, 2)
MOST_LAYERS = 10_000
UNMIXED = 8.0  # logit of the identity where a model keeps streams unmixed: such a map is never seen to matter
SIZES = {2: 1, 4: 24}  # logits of H_res
POST = {2: 2.0, 4: 4.0}  # the largest entry of H_post


@dataclass(frozen=True)
class SubLayerMaps:
    """H_res (n, n), H_pre (n) and H_post (n) of one sub-layer, float32."""

    res: Tensor
    pre: Tensor
    post: Tensor


def write_mhc(model: Transformer, path: Path, *, overwrite: bool = False) -> Path:
    """Write the stream maps of a model, and their hash beside. Raises UsageError for models whose maps the format cannot
    hold, and as `write_new`."""
    if reason := refusal(model.config):
        raise UsageError(f"no .mhc file can hold this model's streams: {reason}", fix="use --to gguf")
    streams = model.config.mhc.streams
    layers = [module for module in model.modules() if isinstance(module, HyperConnection)]
    layers = layers[: 2 * model.config.model.n_layers]  # prediction heads have one stream
    header = struct.pack("<4I", MAGIC, VERSIONS[-1], len(layers), streams)
    body = b"".join(_values(layer).astype("<f4").tobytes() for layer in layers)
    refuse_place(path, folder=False, overwrite=overwrite)
    with suppress(OSError):
        beside(path).unlink()  # that of an earlier file is not of this one
    write_new(path, lambda file: _put(file, header + body), overwrite=overwrite)
    try:
        write_beside(path)
    except OSError as error:
        what = f"its hash was not written: {error.strerror}"
        raise ResourceError(what, where=beside(path).name, fix=remedy(error)) from None
    return path


def export_mhc(model: Transformer, path: Path, *, overwrite: bool = False) -> ExportReport:
    """`write_mhc`, told as every export is."""
    write_mhc(model, path, overwrite=overwrite)
    maps = 3 * 2 * model.config.model.n_layers
    note = "stream maps alone, no weights; the earlier engine computes another model from them"
    return ExportReport(path, "mhc", path.stat().st_size, {"F32": maps}, (note,))


def refusal(config: Config) -> str:
    """Why the format cannot hold the maps of such a model; "" when it can."""
    mhc = config.mhc
    if mhc.streams not in SIZES:
        return "it has one residual stream"
    if mhc.dynamic:
        return "its maps depend on the token (mhc.dynamic)"
    return "" if mhc.kind == "lite" else f"its residual maps are {mhc.kind}, not convex combinations of permutations"


def read_mhc(path: Path) -> list[SubLayerMaps]:
    """The maps of every sub-layer. Raises FormatError for anything but a whole and sound file, or where it does not agree
    with the hash beside it."""
    where = sanitize_line(path.name)
    check_beside(path)
    try:
        data = read_regular(path, 16 + MOST_LAYERS * 4 * _length(4))
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", where=where) from None
    if len(data) < 16 or struct.unpack_from("<I", data)[0] != MAGIC:
        raise FormatError("is no .mhc file", where=where)
    version, layers, streams = struct.unpack_from("<3I", data, 4)
    if version not in VERSIONS:
        raise FormatError(f"is .mhc version {version}, this program reads 1 and 2", where=where)
    if streams not in SIZES or not 0 < layers <= MOST_LAYERS:
        raise FormatError(f"claims {layers} sub-layers of {streams} streams; 2 and 4 streams exist", where=where)
    if len(data) != 16 + layers * 4 * _length(streams):
        raise FormatError(f"has {len(data)} bytes, not those of {layers} sub-layers of {streams} streams", where=where)
    values = np.frombuffer(data, "<f4", offset=16).astype(np.float32)
    if not np.isfinite(values).all():
        raise FormatError("holds numbers that are not finite", where=where)
    return [_maps(torch.from_numpy(row), streams) for row in values.reshape(layers, -1)]


def _length(streams: int) -> int:
    return SIZES[streams] + 4 * streams


def _values(layer: HyperConnection) -> np.ndarray:
    """What the file holds of one sub-layer; biases are 0, since only their sums with the logits matter."""
    assert layer.pre is not None and layer.post is not None
    n, zeros = layer.streams, torch.zeros(layer.streams)
    res = torch.zeros(factorial(n)) if layer.res is None else layer.res.detach().float().cpu()
    if layer.res is None:
        res[0] = UNMIXED
    res = res[:1] - res[1:] if n == 2 else res  # softmax of two logits is the sigmoid of their difference
    # 2 sigmoid(z) = POST sigmoid(z') for z' of this half or whole probability
    post = (layer.post.detach().double().cpu().sigmoid() * (2 / POST[n])).logit().float()
    return torch.cat((res, layer.pre.detach().float().cpu(), zeros, post, zeros)).numpy()


def _maps(values: Tensor, streams: int) -> SubLayerMaps:
    res, pre, pre_bias, post, post_bias = values.split((SIZES[streams], *[streams] * 4))
    weights = torch.stack((res.sigmoid()[0], (-res).sigmoid()[0])) if streams == 2 else res.softmax(dim=0)
    return SubLayerMaps(
        doubly_stochastic(weights), (pre + pre_bias).sigmoid(), (post + post_bias).sigmoid() * POST[streams]
    )


def _put(file: Path, data: bytes) -> None:
    file.write_bytes(data)
