"""Damaged and hostile files: one kind of error, one line, at once, and without the memory they claim."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFValueType, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from nanocore.errors import FormatError
from nanocore.export.blocks import FORMATS, BlockFormat, pack_codes
from nanocore.export.gguf_parse import RawTensor, parse_gguf
from nanocore.export.gguf_read import read_gguf
from nanocore.export.metadata import CONFIG_KEY, TOKENIZER_KEY
from nanocore.export.mhc_file import read_mhc, write_mhc
from nanocore.export.safetensors_read import read_safetensors
from nanocore.export.sealed import HASH_KEY, SCHEMA_KEY
from nanocore.export.stored_values import codes_and_scale
from tests.exports import export, exported_model
from tests.resealed import reseal_gguf

Reader = Callable[[Path], object]
U64 = struct.Struct("<Q")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sound file of each kind."""
    found, model = tmp_path_factory.mktemp("sound"), exported_model("mhc.streams=2", "model.n_layers=1")
    export(model, found / "x.gguf")
    write_mhc(model, found / "x.mhc")
    save_file({"a": torch.ones(3, 4), "b": torch.zeros(2)}, found / "x.safetensors")
    return found


READERS: dict[str, Reader] = {"x.gguf": read_gguf, "x.mhc": read_mhc, "x.safetensors": read_safetensors}


def refused(reader: Reader, path: Path) -> str:
    with pytest.raises(FormatError) as caught:
        reader(path)
    line = str(caught.value)
    assert line.startswith(f"{path.name}: ") and "\n" not in line and len(line) < 400
    return line


def damaged(data: bytes, path: Path) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=9)), max_size=4), cut=st.floats(0, 1))
def test_any_damage_gives_the_one_error_or_a_file_that_is_still_sound(
    name: str, folder: Path, tmp_path: Path, edits: list[tuple[float, bytes]], cut: float
) -> None:
    data = bytearray((folder / name).read_bytes())
    for place, content in edits:
        start = int(place**3 * (len(data) - 1))  # mostly in the header
        data[start : start + len(content)] = content[: len(data) - start]
    path = damaged(bytes(data) if cut > 0.5 else bytes(data[: int(2 * cut * len(data))]), tmp_path / "damaged")
    try:
        READERS[name](path)
    except FormatError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", READERS)
def test_a_file_cut_anywhere_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    data = (folder / name).read_bytes()
    for size in {0, 1, 3, 4, 8, 15, 16, 23, 24, len(data) // 3, len(data) // 2, len(data) - 1}:
        refused(READERS[name], damaged(data[:size], tmp_path / "cut"))


@pytest.mark.parametrize("reader", READERS.values())
def test_what_is_no_regular_file_is_refused_without_waiting(reader: Reader, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "missing"):
        refused(reader, tmp_path / name)


def header(tensors: int = 0, keys: int = 0, *parts: bytes, magic: bytes = b"GGUF", version: int = 3) -> bytes:
    return magic + struct.pack("<IQQ", version, tensors, keys) + b"".join(parts)


def text(content: bytes, size: int | None = None) -> bytes:
    return U64.pack(len(content) if size is None else size) + content


def key(name: bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def tensor(name: bytes = b"t", dims: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    sizes = b"".join(map(U64.pack, dims))
    return text(name) + struct.pack("<I", len(dims)) + sizes + struct.pack("<IQ", kind, offset)


PAD = bytes(4096)
# Named after the cases of llama.cpp's tests/test-gguf.cpp.
HOSTILE: dict[str, tuple[bytes, str]] = {
    "HEADER_BAD_MAGIC": (header(magic=b"FUGG") + PAD, "no GGUF file"),
    "HEADER_BAD_VERSION_0": (header(version=0) + PAD, "version 0"),
    "HEADER_BAD_VERSION_FUTURE": (header(version=4) + PAD, "version 4"),
    "HEADER_BAD_N_TENSORS": (header(2**63) + PAD, "claims 9223372036854775808 tensors"),
    "HEADER_BAD_N_KV": (header(0, 2**62) + PAD, "claims 4611686018427387904 keys"),
    "KV_BAD_KEY_SIZE": (header(0, 1, text(b"k", 2**60)) + PAD, "holds a text of"),
    "KV_EMPTY_KEY": (header(0, 1, key(b"", 4, bytes(4))) + PAD, "key without a name"),
    "KV_NOT_UTF8": (header(0, 1, key(b"\xff\xfe", 4, bytes(4))) + PAD, "not UTF-8"),
    "KV_BAD_TYPE": (header(0, 1, key(b"k", 13, bytes(8))) + PAD, "unknown type 13"),
    "KV_BAD_BOOL": (header(0, 1, key(b"k", 7, b"\2")) + PAD, "truth value"),
    "KV_DUPLICATE_KEY": (header(0, 2, key(b"k", 4, bytes(4)) * 2) + PAD, "the key 'k' twice"),
    "KV_BAD_ALIGN": (header(0, 1, key(b"general.alignment", 4, struct.pack("<I", 13))) + PAD, "power of two"),
    "KV_WRONG_TYPE_ALIGN": (header(0, 1, key(b"general.alignment", 8, text(b"32"))) + PAD, "power of two"),
    "KV_BAD_ARRAY_SIZE": (header(0, 1, key(b"k", 9, struct.pack("<IQ", 10, 2**61))) + PAD, "items, more than"),
    "KV_BAD_TEXTS": (header(0, 1, key(b"k", 9, struct.pack("<IQ", 8, 500_000))) + PAD, "texts, more than"),
    "KV_NESTED_ARRAY": (header(0, 1, key(b"k", 9, struct.pack("<IQ", 9, 1))) + PAD, "array of unknown type 9"),
    "TENSORS_BAD_NAME_SIZE": (header(1, 0, tensor(b"n" * 64)) + PAD, "text of 64 bytes where 63 fit"),
    "TENSORS_NO_DIMS": (header(1, 0, tensor(dims=())) + PAD, "0 dimensions"),
    "TENSORS_BAD_N_DIMS": (header(1, 0, tensor(dims=(1,) * 5)) + PAD, "5 dimensions"),
    "TENSORS_ZERO_DIM": (header(1, 0, tensor(dims=(0,))) + PAD, "impossible dimension"),
    "TENSORS_NE_TOO_BIG": (header(1, 0, tensor(dims=(2**62, 8))) + PAD, "impossible dimension"),
    "TENSORS_NBYTES_TOO_BIG": (header(1, 0, tensor(dims=(2**40, 2**40))) + PAD, "ends before its last tensor"),
    "TENSORS_BAD_TYPE": (
        header(1, 0, tensor(kind=1000)) + PAD,
        "a tensor of type 1000, which the gguf package here does not know; a newer version of that package may",
    ),
    "TENSORS_BAD_SHAPE": (header(1, 0, tensor(dims=(100,), kind=35)) + PAD, "no multiple of 256"),
    "TENSORS_BAD_OFFSET": (header(1, 0, tensor(offset=32)) + PAD, "at the wrong place"),
    "TENSORS_DUPLICATE_NAME": (header(2, 0, tensor(), tensor(offset=128)) + PAD, "the tensor 't' twice"),
    "DATA_NOT_ENOUGH": (header(1, 0, tensor(dims=(2048,))) + PAD, "ends before its last tensor"),
    "DATA_TOO_MUCH": (header(1, 0, tensor()) + PAD, "behind its last tensor"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_lying_header_costs_no_memory(name: str, tmp_path: Path) -> None:
    data, reason = HOSTILE[name]
    path = damaged(data, tmp_path / "hostile")
    tracemalloc.start()
    try:
        assert reason in refused(parse_gguf, path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_sound_container_is_read_as_it_was_written(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x", "anything")
    values: dict[str, Any] = {"bool": True, "int": -3, "text": "ä", "float": 0.5, "texts": ["a", ""], "ints": [1, -2]}
    kinds = {"bool": 7, "int": 5, "text": 8, "float": 12, "texts": 9, "ints": 9}
    items = {"texts": GGUFValueType.STRING, "ints": GGUFValueType.INT64}
    for name, value in values.items():
        writer.add_key_value(name, value, GGUFValueType(kinds[name]), items.get(name))
    writer.add_tensor("t", np.arange(6, dtype=np.float32).reshape(2, 3))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    file = parse_gguf(tmp_path / "x")
    assert {**file.keys, "ints": list(file.keys["ints"])} == {"general.architecture": "anything", **values}
    assert file.tensors["t"].shape == (2, 3)
    assert file.tensors["t"].data.view("<f4").tolist() == [0, 1, 2, 3, 4, 5]


def rewritten(folder: Path, path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    """The sound file with its keys or tensors changed, written again as a sound container."""
    file = parse_gguf(folder / "x.gguf")
    keys, tensors = dict(file.keys), dict(file.tensors)
    change(keys, tensors)
    writer = GGUFWriter(path, keys.pop("general.architecture"))
    kinds = {
        bool: GGUFValueType.BOOL,
        int: GGUFValueType.UINT32,
        float: GGUFValueType.FLOAT32,
        str: GGUFValueType.STRING,
    }
    for name, value in keys.items():
        if isinstance(value, list | np.ndarray):
            writer.add_array(name, list(value) if isinstance(value, list) else value.tolist())
        else:
            writer.add_key_value(name, value, kinds[type(value)])
    for name, raw in tensors.items():
        data = raw.data.reshape(*raw.shape[:-1], -1)
        writer.add_tensor(
            name, data if raw.type > 1 else data.view("<f4" if raw.type == 0 else "<f2"), raw_dtype=raw.type
        )
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    reseal_gguf(path)
    return path


def unsealed(keys: dict[str, Any], **others: Any) -> None:
    """As a file that holds no hash."""
    keys.pop(SCHEMA_KEY), keys.pop(HASH_KEY)
    keys.update(others)


def in_config(keys: dict[str, Any], section: str, **values: Any) -> None:
    table = json.loads(keys[CONFIG_KEY])
    table[section] |= values
    keys[CONFIG_KEY] = json.dumps(table)


def set_values(tensors: dict[str, Any], name: str, value: float) -> None:
    raw = tensors[name]
    tensors[name] = type(raw)(raw.type, raw.shape, np.full(raw.data.size // 4, value, "<f4").view(np.uint8))


CONTRADICTIONS: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], Any], str]] = {
    "foreign architecture": (lambda k, t: k.update({"general.architecture": "gpt2"}), "architecture 'gpt2'"),
    "not ours": (lambda k, t: unsealed(k), "none of nanoconsole's"),
    "newer": (lambda k, t: k.update({SCHEMA_KEY: 3}), "of version 3, this program reads versions 1 to 2"),
    "no configuration": (lambda k, t: k.pop(CONFIG_KEY), f"no usable key {CONFIG_KEY}"),
    "configuration is no JSON": (lambda k, t: k.update({CONFIG_KEY: "{"}), "unusable configuration"),
    "configuration is no table": (lambda k, t: k.update({CONFIG_KEY: "[1]"}), "unusable configuration"),
    "configuration nests": (lambda k, t: k.update({CONFIG_KEY: "[" * 100_000}), "unusable configuration"),
    "impossible width": (lambda k, t: in_config(k, "model", d_model=10**9), "unusable configuration"),
    "another width": (lambda k, t: in_config(k, "model", d_model=64), "the key nanoconsole.embedding_length"),
    "another depth": (lambda k, t: in_config(k, "model", n_layers=256), "fewer tensors than"),
    "another activation": (lambda k, t: in_config(k, "model", activation="relu2"), "contradicts its configuration"),
    "tied after all": (lambda k, t: in_config(k, "model", tie_embeddings=False), "the tensor output.weight is not there"),
    "no tokenizer": (lambda k, t: k.update({TOKENIZER_KEY: "{}"}), "unusable tokenizer"),
    "stock does not compute it": (lambda k, t: k.update({"general.architecture": "qwen3"}), "that qwen3 does not compute"),
    "a tensor more": (lambda k, t: t.update({"blk.9.attn_q.weight": t["output_norm.weight"]}), "a tensor too many"),
    "a tensor less": (lambda k, t: t.pop("blk.0.ffn_up.weight"), "the tensor blk.0.ffn_up.weight is not there"),
    "another shape": (lambda k, t: t.update({"output_norm.weight": t["blk.0.hc_ffn_base.weight"]}), "output_norm.weight is ("),
    "codes as floats": (lambda k, t: t.update({"blk.0.attn_q.weight": t["blk.0.hc_attn_base.weight"]}), "attn_q.weight is ("),
    "not finite": (lambda k, t: set_values(t, "output_norm.weight", float("inf")), "not finite"),
    "scale not finite": (lambda k, t: set_values(t, "blk.0.attn_q.scale", float("nan")), "not finite"),
    "scale below 0": (lambda k, t: set_values(t, "blk.0.attn_q.scale", -1.0), "attn_q.weight: has a scale of -1,"),
    "scale absurd": (lambda k, t: set_values(t, "blk.0.attn_q.scale", 3e38), "scale of 3e+38, scales are 0 to 1e+06"),
    "embedding as codes": (lambda k, t: t.update({"token_embd.weight": t["blk.0.attn_q.weight"]}), "token_embd.weight is ("),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_file_that_contradicts_itself_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    change, reason = CONTRADICTIONS[name]

    def apply(keys: dict[str, Any], tensors: dict[str, Any]) -> None:
        change(keys, tensors)

    assert reason in refused(read_gguf, rewritten(folder, tmp_path / "x.gguf", apply))


@pytest.mark.parametrize("kind", FORMATS.values(), ids=lambda kind: kind.type.name)
def test_scales_in_blocks_are_bounded_too(kind: BlockFormat) -> None:
    codes = np.ones((2, kind.columns), np.int8)
    sound, below = (pack_codes(codes, np.full((2, 1), value, np.float32), kind) for value in (0.5, -0.5))
    scale = codes_and_scale(RawTensor(kind.type, codes.shape, sound), None, 0, where="t")[1]
    assert scale.tolist() == [[0.5]]
    with pytest.raises(FormatError, match=r"t: has a scale of -0\.5, scales are 0 to 1e\+06"):
        codes_and_scale(RawTensor(kind.type, codes.shape, below), None, 0, where="t")


def test_rewriting_alone_changes_nothing(folder: Path, tmp_path: Path) -> None:
    again = read_gguf(rewritten(folder, tmp_path / "x.gguf", lambda keys, tensors: None))
    assert again.config == read_gguf(folder / "x.gguf").config


def test_a_name_twice_in_safetensors_is_refused(tmp_path: Path) -> None:
    entry = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    table = f"{{{entry},{entry}}}".encode()
    path = damaged(U64.pack(len(table)) + table + bytes(4), tmp_path / "x.safetensors")
    assert "twice" in refused(read_safetensors, path)
    assert "longer than the file" in refused(read_safetensors, damaged(U64.pack(2**62) + table, tmp_path / "long"))
