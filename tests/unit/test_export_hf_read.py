"""Folders for transformers read back: the very codes and scales, the very logits; and damage in one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from nanocore.data.bpe import train_bpe
from nanocore.data.tokenizer import ByteTokenizer
from nanocore.errors import FormatError
from nanocore.export.hf_codes import pack_rows, unpack_rows
from nanocore.export.hf_read import read_hf
from nanocore.export.hugging_face import export_hf
from nanocore.export.load import load_hf
from nanocore.export.tensors import weights_of
from nanocore.infer.contents import contents
from nanocore.infer.locate import locate
from nanocore.model.bitlinear import frozen
from nanocore.model.transformer import Transformer
from tests.exports import BITNET, CASES, NO_NORMS, exported_model
from tests.models import random_tokens
from tests.resealed import reseal_folder

TOKENIZER = ByteTokenizer()
ROWS_OF_THREE = ("model.d_model=18", "model.d_ff=30", "model.head_dim=6")
FOLDERS = {
    "gqa": ("plain", ()),
    "untied": ("plain", CASES["untied"][0]),
    "llama": ("plain", CASES["llama"][0]),
    "groups": ("plain", CASES["groups"][0]),
    "float": ("plain", CASES["float"][0]),
    "bitnet-plain": ("plain", BITNET),
    "bitnet": ("bitnet", BITNET),
    "qwen3-codes": ("bitnet", ()),
    "odd-rows": ("bitnet", (*NO_NORMS, *ROWS_OF_THREE)),
    "heads": ("plain", ("mtp.horizon=1",)),
}
Q = "model.layers.0.self_attn.q_proj.weight"


@torch.no_grad()
def logits(model: Transformer) -> torch.Tensor:
    with frozen(model):
        return model.logits(model(random_tokens(2, 12, 257)))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_holds_exactly_the_model(name: str, tmp_path: Path) -> None:
    form, sets = FOLDERS[name]
    model = exported_model(*sets)
    export_hf(model, TOKENIZER, model.config, tmp_path / "hf", form=form)  # type: ignore[arg-type]
    loaded, tokenizer, config = load_hf(tmp_path / "hf")
    ours, theirs = weights_of(model), weights_of(loaded)
    assert config.model == model.config.model and config.mtp.horizon == 0
    assert tokenizer.to_json() == TOKENIZER.to_json()
    assert theirs.ternary.keys() == {key for key in ours.ternary if "prediction" not in key}
    for key, found in theirs.ternary.items():
        assert torch.equal(found.codes, ours.ternary[key].codes)
        known = found.scale != 0  # of a group without codes the scale is not in the folder, and multiplies nothing
        assert torch.equal(found.scale[known], ours.ternary[key].scale[known])
        assert torch.equal(found.dequantise(), ours.ternary[key].dequantise())
    assert all(torch.equal(tensor, ours.floats[key]) for key, tensor in theirs.floats.items())
    assert torch.equal(logits(loaded), logits(model))


def test_a_given_tokenizer_comes_back_whole(tmp_path: Path) -> None:
    tokenizer = train_bpe(["def add(a, b):\n    return a + b\n" * 20], 270)
    model = exported_model(vocabulary=tokenizer.vocab_size)
    export_hf(model, tokenizer, model.config, tmp_path / "hf")
    assert read_hf(tmp_path / "hf").tokenizer_json == tokenizer.to_json()


@pytest.mark.parametrize("rows", [8, 6])
def test_rows_of_codes_come_back_and_others_are_refused(rows: int) -> None:
    codes = torch.randint(-1, 2, (rows, 5), dtype=torch.int8)
    packed = pack_rows(codes)
    assert torch.equal(unpack_rows(packed, where="t"), codes)
    for wrong in (3, 255) if rows == 8 else (0.5, 2.0, -2.0):
        packed[1, 2] = wrong
        with pytest.raises(FormatError, match="t: holds values that are not ternary codes"):
            unpack_rows(packed, where="t")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each form."""
    found, model = tmp_path_factory.mktemp("sound"), exported_model("model.n_layers=1")
    for form in ("plain", "bitnet"):
        export_hf(model, TOKENIZER, model.config, found / form, form=form)  # type: ignore[arg-type]
    return found


def changed(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    table = json.loads(file.read_text())
    change(table)
    file.write_text(json.dumps(table))


def reweighed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    copies = {name: tensor.clone() for name, tensor in tensors.items()}
    change(copies)
    save_file(copies, folder / "model.safetensors")


def own(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda folder: changed(folder / "nanoconsole.json", change)


def theirs(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda folder: changed(folder / "config.json", change)


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    return lambda folder: reweighed(folder, change)


def piped(folder: Path) -> None:
    (folder / "nanoconsole.json").unlink()
    os.mkfifo(folder / "nanoconsole.json")


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "of another program": ("plain", lambda f: (f / "nanoconsole.json").unlink(), "has no nanoconsole.json; only what"),
    "a pipe": ("plain", piped, "nanoconsole.json: cannot be read"),
    "no JSON": ("plain", lambda f: (f / "config.json").write_text("{"), "config.json: is not JSON"),
    "deep JSON": ("plain", lambda f: (f / "config.json").write_text("[" * 10**5), "config.json: is not JSON"),
    "a list": ("plain", lambda f: (f / "nanoconsole.json").write_text("[]"), "is not a JSON table"),
    "newer": ("plain", own(lambda t: t.update(schema=3)), "is of version 3, this program reads versions 1 to 2"),
    "form": ("plain", own(lambda t: t.update(form="gguf")), "no usable form"),
    "form of a list": ("plain", own(lambda t: t.update(form=[])), "no usable form"),
    "other form": ("plain", own(lambda t: t.update(form="bitnet")), "quantization_config should be"),
    "config": ("plain", own(lambda t: t["config"]["model"].update(d_modle=1)), "model.d_modle: unknown key"),
    "layers": ("plain", own(lambda t: t["config"]["model"].update(n_layers=9)), "fewer tensors than"),
    "streams": ("plain", own(lambda t: t["config"]["mhc"].update(streams=2)), "one residual stream, this model 2"),
    "groups": ("bitnet", own(lambda t: t["config"]["model"].update(group_size=8)), "a scale for each group"),
    "tokenizer": ("plain", own(lambda t: t.update(tokenizer="{}")), "unusable tokenizer"),
    "their width": ("plain", theirs(lambda t: t.update(hidden_size=17)), "contradicts nanoconsole.json: hidden_size should be 16"),
    "their quantiser": ("plain", theirs(lambda t: t.update(quantization_config={})), "quantization_config should be None"),
    "no weights": ("plain", lambda f: (f / "model.safetensors").unlink(), "model.safetensors: cannot be read: No such file"),
    "missing": ("plain", weights(lambda t: t.pop(Q)), f"the tensor {Q} is not there, should be float32 (16, 16)"),
    "too many": ("plain", weights(lambda t: t.update(x=torch.ones(1))), "the tensor x is float32 (1,), should be not there"),
    "half": ("plain", weights(lambda t: t.update({Q: t[Q].half()})), "is float16 (16, 16), should be float32"),
    "nan": ("plain", weights(lambda t: t["model.norm.weight"].fill_(float("nan"))), "model.norm.weight: holds numbers"),
    "third value": ("plain", weights(lambda t: t[Q][0, :1].fill_(7.0)), f"{Q}: has scales that differ within a group"),
    "scale below 0": ("bitnet", weights(lambda t: t[f"{Q}_scale"].fill_(-1)), "has a scale of -1, scales are 0 to"),
    "scale nan": ("bitnet", weights(lambda t: t[f"{Q}_scale"].fill_(float("nan"))), "not finite"),
    "no scale": ("bitnet", weights(lambda t: t.pop(f"{Q}_scale")), "weight_scale is not there"),
    "code 3": ("bitnet", weights(lambda t: t[Q].fill_(255)), "are not ternary codes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_folder_that_is_not_as_it_was_written_is_refused(name: str, sound: Path, tmp_path: Path) -> None:
    form, damage, reason = BROKEN[name]
    folder = shutil.copytree(sound / form, tmp_path / "hf")
    damage(folder)
    reseal_folder(folder)
    with pytest.raises(FormatError) as caught:
        read_hf(folder)
    line = str(caught.value)
    assert reason in line and "\n" not in line and len(line) < 400


@pytest.mark.parametrize("form", ["plain", "bitnet"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=st.sampled_from(["nanoconsole.json", "config.json", "model.safetensors"]),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4),
)
def test_any_damage_gives_the_one_error_or_a_folder_that_is_still_sound(
    form: str, file: str, edits: list[tuple[float, bytes]], sound: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(sound / form, tmp_path / "hf", dirs_exist_ok=True)
    data = bytearray((folder / file).read_bytes())
    for place, content in edits:
        start = int(place**2 * (len(data) - 1))
        data[start : start + len(content)] = content[: len(data) - start]
    (folder / file).write_bytes(data)
    reseal_folder(folder)
    try:
        read_hf(folder)
    except FormatError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("form", ["plain", "bitnet"])
def test_inspect_tells_of_each_matrix_what_it_holds(form: str, sound: Path) -> None:
    table = contents(locate(sound / form)).table()
    model = exported_model("model.n_layers=1")
    assert (table["kind"], table["architecture"], table["facts"]["form"]) == ("hf", "Qwen3ForCausalLM", form)
    codes, scale = weights_of(model).ternary["blocks.0.attention.query.weight"]
    found = next(each for each in table["tensors"] if each["name"] == Q)
    assert tuple(found["shape"]) == codes.shape and found["scale"] == pytest.approx(scale.item())
    assert found["zero_fraction"] == pytest.approx(float((codes == 0).float().mean()))
    assert found["bytes"] == (codes.numel() * 4 if form == "plain" else codes.numel() // 4)
