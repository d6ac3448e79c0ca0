"""The earlier system's .mhc side file holds the maps that the model computes with."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest
import torch

from nanocore.errors import FormatError, UsageError
from nanocore.export.mhc_file import read_mhc, write_mhc
from nanocore.model.hyper_connections import HyperConnection
from tests.exports import exported_model


@pytest.mark.parametrize("streams", [2, 4])
def test_maps_come_back_as_the_model_has_them(streams: int, tmp_path: Path) -> None:
    model = exported_model(f"mhc.streams={streams}", "mhc.init=depth", "mtp.horizon=1", "mtp.kind=sequential")
    layers = read_mhc(write_mhc(model, tmp_path / "x.mhc"))
    connections = [each for each in model.blocks.modules() if isinstance(each, HyperConnection)]
    assert len(layers) == len(connections) == 4
    for read, connection in zip(layers, connections, strict=True):
        maps = connection.maps(torch.zeros(1, 1, streams, 16))
        torch.testing.assert_close(read.pre, maps.pre.detach())
        torch.testing.assert_close(read.post, maps.post.detach())
        if maps.res is not None:
            torch.testing.assert_close(read.res, maps.res.detach())
        torch.testing.assert_close(read.res.sum(dim=0), torch.ones(streams))
        assert streams == 4 or read.res[0, 0] == read.res[1, 1]


def test_the_layout_is_that_of_the_earlier_system(tmp_path: Path) -> None:
    model = exported_model("mhc.streams=2")
    data = write_mhc(model, tmp_path / "x.mhc").read_bytes()
    assert data[:4] == b"!CHm" and len(data) == 16 + 4 * 36
    assert struct.unpack_from("<3I", data, 4) == (2, 4, 2)
    alpha, *others = struct.unpack_from("<9f", data, 16 + 36)  # the second sub-layer
    connection = model.blocks[0].feed_forward_connection
    weight = connection.maps(torch.zeros(1, 1, 2, 16)).res[0, 0].item()
    assert 1 / (1 + math.exp(-alpha)) == pytest.approx(weight)
    assert others[:2] == connection.pre.tolist() and others[2:4] == [0, 0]
    torch.testing.assert_close(torch.tensor(others[4:6]), connection.post.detach())


def test_four_streams_in_the_earlier_formulas(tmp_path: Path) -> None:
    """H_res by permutations in lexicographic order, H_post = 4 sigmoid, straight from the file's numbers."""
    logits = [0.0] * 24
    logits[1] = 30.0  # the second permutation, 0 1 3 2
    values = struct.pack("<40f", *logits, *[0.0] * 4, *[0.5] * 4, *[0.0] * 4, *[-1.0] * 4)
    (tmp_path / "x").write_bytes(struct.pack("<4I", 0x6D484321, 1, 1, 4) + values)
    (layer,) = read_mhc(tmp_path / "x")
    expected = torch.eye(4)[[0, 1, 3, 2]]
    torch.testing.assert_close(layer.res, expected)
    assert layer.pre.tolist() == pytest.approx([1 / (1 + math.exp(-0.5))] * 4)
    assert layer.post.tolist() == pytest.approx([4 / (1 + math.e)] * 4)


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        ((), "one residual stream"),
        (("mhc.streams=2", "mhc.dynamic=true"), "depend on the token"),
        (("mhc.streams=4", "mhc.kind=sinkhorn"), "are sinkhorn"),
        (("mhc.streams=2", "mhc.kind=unconstrained"), "are unconstrained"),
    ],
)
def test_other_streams_are_refused_with_the_reason(sets: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        write_mhc(exported_model(*sets), tmp_path / "x.mhc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ((0x6D484322, 2, 1, 2), "no .mhc file"),
        ((0x6D484321, 3, 1, 2), "version 3"),
        ((0x6D484321, 2, 1, 3), "of 3 streams"),
        ((0x6D484321, 2, 2**31, 2), "claims 2147483648 sub-layers"),
        ((0x6D484321, 2, 0, 2), "claims 0 sub-layers"),
        ((0x6D484321, 2, 2, 2), "has 52 bytes"),
    ],
)
def test_headers_that_lie_are_refused(header: tuple[int, ...], reason: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<4I", *header) + bytes(36))
    with pytest.raises(FormatError, match=reason):
        read_mhc(tmp_path / "x")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    values = struct.pack("<9f", *[math.nan] * 9)
    (tmp_path / "x").write_bytes(struct.pack("<4I", 0x6D484321, 2, 1, 2) + values)
    with pytest.raises(FormatError, match="not finite"):
        read_mhc(tmp_path / "x")
