"""A model and its GGUF file are the same model: codes, scales and floats exactly, and so the logits to the last bit."""

from __future__ import annotations

import os
from pathlib import Path

import gguf
import pytest
import torch

from nanocore.data.tokenizer import ByteTokenizer
from nanocore.errors import UsageError
from nanocore.export.gguf_read import read_gguf
from nanocore.export.load import load_gguf
from nanocore.export.replace import write_new
from nanocore.export.report import Facts
from nanocore.export.tensors import reordered, weights_of
from nanocore.model.bitlinear import frozen
from nanocore.model.transformer import Transformer
from tests.exports import CASES, MAIN, export, exported_model
from tests.models import random_tokens
from tests.quick import quick
from tests.techniques import MOE


@torch.no_grad()
def logits(model: Transformer) -> torch.Tensor:
    return model.logits(model(random_tokens(2, 12, 257)))


@pytest.mark.parametrize("name", quick(CASES, *MAIN))
def test_the_file_holds_exactly_the_model(name: str, tmp_path: Path) -> None:
    sets, architecture = CASES[name]
    model, path = exported_model(*sets), tmp_path / "model.gguf"
    assert export(model, path).architecture == architecture
    loaded, tokenizer, config = load_gguf(path)
    ours, theirs = weights_of(model), weights_of(loaded)
    assert config == model.config and tokenizer.to_json() == ByteTokenizer().to_json()
    assert ours.ternary.keys() == theirs.ternary.keys() and ours.floats.keys() == theirs.floats.keys()
    for key, weight in ours.ternary.items():
        assert all(torch.equal(a, b) for a, b in zip(weight, theirs.ternary[key], strict=True)), key
    assert all(torch.equal(tensor, theirs.floats[key]) for key, tensor in ours.floats.items())
    assert torch.equal(logits(model), logits(loaded))


@pytest.mark.parametrize("name", ["wide", "llama", "llama-groups", "bitnet", "groups", "experts-groups"])
@pytest.mark.parametrize("scheme", ["tq2_0", "tq1_0"])
def test_scales_in_blocks_are_those_of_the_model_rounded_to_half_precision(
    name: str, scheme: str, tmp_path: Path
) -> None:
    model, path = exported_model(*CASES[name][0]), tmp_path / "model.gguf"
    report = export(model, path, scheme=scheme, scale_mode="block")
    assert any("rounded to float16" in note for note in report.notes)
    ours, read = weights_of(model), read_gguf(path).weights
    assert not any(key.endswith(".scale") for key in gguf.GGUFReader(path).fields)
    for key, weight in ours.ternary.items():
        assert torch.equal(weight.codes, read.ternary[key].codes), key
        assert torch.equal(weight.scale.half().float(), read.ternary[key].scale), key


def test_the_gguf_package_reads_what_a_stock_tool_needs(tmp_path: Path) -> None:
    model, path = exported_model("model.d_model=256", "model.d_ff=512", "model.n_heads=4"), tmp_path / "model.gguf"
    export(model, path, facts=Facts("tiny", "mit", "a test", {"step": 12, "loss": 1.5}), head="f16")
    reader = gguf.GGUFReader(path)
    keys = {name: field.contents() for name, field in reader.fields.items()}
    expected = {
        "general.architecture": "qwen3", "general.name": "tiny", "general.license": "mit", "general.file_type": 37,
        "general.quantization_version": 2, "qwen3.embedding_length": 256, "qwen3.attention.head_count_kv": 1,
        "qwen3.attention.key_length": 64, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.bos_token_id": 256,
        "tokenizer.ggml.add_bos_token": True, "nanoconsole.training.step": 12, "nanoconsole.training.loss": 1.5,
    }  # fmt: skip
    assert {key: keys.get(key) for key in expected} == expected
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    weight, scale = weights_of(model).ternary["blocks.0.feed_forward.down.weight"]
    found = gguf.quants.dequantize(tensors["blk.0.ffn_down.weight"].data, tensors["blk.0.ffn_down.weight"].tensor_type)
    assert (torch.from_numpy(found) == weight).all()
    assert tensors["blk.0.ffn_down.scale"].data.tolist() == [scale.item()]
    assert tensors["token_embd.weight"].tensor_type == gguf.GGMLQuantizationType.F16


@pytest.mark.parametrize(
    ("sets", "scheme", "number"),
    [
        (CASES["wide"][0], "tq2_0", 37),
        (CASES["wide"][0], "tq1_0", 36),
        (("model.d_model=32",), "tq2_0", 2),  # Q4_0 alone
        ((), "tq2_0", 1),  # 16 columns as F16, and one matrix of 32 in each block as Q4_0
        (CASES["float"][0], "tq2_0", 0),
    ],
)
def test_the_file_type_is_that_of_most_ternary_weights(
    sets: tuple[str, ...], scheme: str, number: int, tmp_path: Path
) -> None:
    report = export(exported_model(*sets), tmp_path / "x.gguf", scheme=scheme)
    assert gguf.GGUFReader(tmp_path / "x.gguf").fields["general.file_type"].contents() == number
    assert gguf.LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_") in report.types


def test_hyper_connections_lie_as_in_llama_cpp(tmp_path: Path) -> None:
    model, path = exported_model("mhc.streams=4", "mhc.dynamic=true"), tmp_path / "model.gguf"
    export(model, path)
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    connection = model.blocks[0].feed_forward_connection
    base = torch.cat((connection.pre, connection.post, connection.res))
    assert torch.equal(torch.from_numpy(tensors["blk.0.hc_ffn_base.weight"].copy()), base.detach())
    assert tensors["blk.0.hc_ffn_fn.weight"].shape == (4 + 4 + 24, 4 * 16)
    assert reader.fields["nanoconsole.hyper_connection.count"].contents() == 4


def test_rows_that_turn_together_lie_side_by_side_for_llama() -> None:
    rows = torch.arange(12)  # two heads of six: dimension i turns with i + 3
    paired = reordered(rows, 2)
    assert paired.tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    assert torch.equal(reordered(paired, 2, back=True), rows)


@pytest.mark.parametrize(("head", "largest"), [("f32", 0.0), ("f16", 2.0**-11), ("q8_0", 1 / 254 + 2.0**-11)])
def test_embedding_and_head_are_as_exact_as_their_type(head: str, largest: float, tmp_path: Path) -> None:
    model, path = exported_model("model.d_model=32", "model.tie_embeddings=false"), tmp_path / "model.gguf"
    export(model, path, head=head)
    ours, read = weights_of(model).floats, read_gguf(path).weights.floats
    for name in ("embedding.weight", "head.weight"):
        blocks = ours[name].unflatten(1, (-1, 32))
        bound = largest * blocks.abs().amax(dim=-1, keepdim=True).expand_as(blocks).flatten(1)
        assert ((read[name] - ours[name]).abs() <= bound).all()
    assert torch.equal(ours["blocks.0.attention_norm.weight"], read["blocks.0.attention_norm.weight"])


def test_prediction_heads_travel_in_our_own_files_alone(tmp_path: Path) -> None:
    model = exported_model("mtp.horizon=2")
    stock = export(model, tmp_path / "stock.gguf")
    assert stock.architecture == "qwen3" and "prediction heads" in stock.dropped[0]
    loaded, _, config = load_gguf(tmp_path / "stock.gguf")
    assert config.mtp.horizon == 0 and torch.equal(logits(model), logits(loaded))
    own = export(model, tmp_path / "own.gguf", architecture="nanoconsole")
    assert not own.dropped and load_gguf(tmp_path / "own.gguf")[2] == model.config


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (("mhc.streams=2",), "stock architectures have one residual stream, this model 2 (mhc.streams)"),
        (("loop.count=2",), "stock architectures run every block once"),
        (("delta.pattern=DA",), "DeltaNet layers (delta.pattern)"),
        (("model.activation=relu2",), "stock architectures have SwiGLU, this model relu2 (model.activation)"),
        (("model.sub_norm=true",), "bitnet, the one with SubLN, does not normalise queries and keys (model.qk_norm)"),
        (CASES["bitnet-untied"][0], "always has the embedding as head (model.tie_embeddings)"),
        (CASES["bitnet-narrow"][0], "query heads that together are d_model wide (model.head_dim)"),
        (CASES["fp4"][0], "multiply in float, this model in emulated nvfp4 (fp4.forward)"),
        (("model.group_size=8",), "a stock tensor has one scale, this model one for each 8 columns"),
        ((*MOE, "model.qk_norm=false"), "hy_v3, the one for such experts, normalises queries and keys"),
        ((*MOE, "model.sub_norm=true"), "hy_v3, the one for such experts, has no SubLN (model.sub_norm)"),
    ],
)
def test_a_stock_file_is_refused_with_the_reason(sets: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        export(exported_model(*sets), tmp_path / "x.gguf", architecture="stock")
    line = str(caught.value)
    assert reason in line and "\n" not in line and line.endswith("; use --architecture auto")
    assert not list(tmp_path.iterdir())


def test_our_own_architecture_says_in_one_line_why_and_a_stock_one_says_nothing(tmp_path: Path) -> None:
    own = export(exported_model("mhc.streams=2"), tmp_path / "own.gguf")
    assert own.reason == "stock architectures have one residual stream, this model 2 (mhc.streams)"
    assert [note for note in own.notes if own.reason in note] == [
        f"stock tools list this file, and only nanoconsole runs it: {own.reason}"
    ]
    stock, wished = export(exported_model(), tmp_path / "x.gguf"), exported_model()
    assert stock.reason == "" and not any("nanoconsole" in note for note in stock.notes)
    asked = export(wished, tmp_path / "asked.gguf", architecture="nanoconsole")
    assert asked.reason == "" and "stock tools list this file, and only nanoconsole runs it" in asked.notes


def test_what_cannot_be_written_is_refused_before_a_file_appears(tmp_path: Path) -> None:
    path, model = tmp_path / "x.gguf", exported_model()
    with pytest.raises(UsageError, match="multiples of 32, not 16; use --head f16 or f32"):
        export(model, path, head="q8_0")
    with pytest.raises(UsageError, match="the tokenizer has 257 tokens, the model 300"):
        export(exported_model(vocabulary=300), path)
    with torch.no_grad():
        model.norm.weight[3] = float("nan")
    with pytest.raises(UsageError, match=r"norm\.weight holds numbers that are not finite; .* --step"):
        export(model, path)
    model = exported_model()
    with torch.no_grad():
        model.blocks[0].feed_forward.down.weight.mul_(1e9)
    with pytest.raises(UsageError, match=r"down\.weight has a scale above 1e\+06"):
        export(model, path)
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept_until_its_end_is_asked_for(tmp_path: Path) -> None:
    path, model = tmp_path / "x.gguf", exported_model()
    export(model, path)
    path.write_bytes(b"GGUF earlier")
    with pytest.raises(UsageError, match="exists already"):
        export(model, path)
    assert path.read_bytes() == b"GGUF earlier"
    report = export(model, path, overwrite=True)
    assert report.bytes == path.stat().st_size > 10_000
    assert [each.name for each in path.parent.iterdir()] == ["x.gguf"]


def test_widths_that_no_ternary_block_fits_are_written_in_others_and_said(tmp_path: Path) -> None:
    report = export(exported_model("model.d_model=256", "model.n_heads=4", "model.d_ff=96"), tmp_path / "x.gguf")
    assert report.types == {"TQ2_0": 12, "Q4_0": 2, "F32": report.types["F32"]}
    assert report.notes == (
        "2 matrices are Q4_0: tq2_0 takes rows whose columns are a multiple of 256, not 96; the codes are the same",
    )
    wide = exported_model("model.d_model=256", "model.d_ff=256", "model.n_heads=4", "model.group_size=128")
    grouped = export(wide, tmp_path / "groups.gguf", scale_mode="block")
    assert (
        "14 matrices are Q4_0: tq2_0 takes scale groups whose columns are a multiple of 256, not 128"
        in grouped.notes[0]
    )


def test_paths_of_the_training_machine_stay_there(tmp_path: Path) -> None:
    model = exported_model()
    sources = [{"kind": "files", "paths": ["/home/someone/private/*.rs"]}]
    table = model.config.model_dump() | {"data": {**model.config.data.model_dump(), "sources": sources}}
    model.config = type(model.config).model_validate(table)
    export(model, tmp_path / "x.gguf")
    assert b"someone" not in (tmp_path / "x.gguf").read_bytes()
    assert read_gguf(tmp_path / "x.gguf").config.data.sources[0].paths == ["*.rs"]


def test_a_loaded_model_holds_no_latent_weights_and_can_be_exported_again(tmp_path: Path) -> None:
    model = exported_model("mhc.streams=2", *MOE)
    export(model, tmp_path / "one.gguf")
    loaded, _, _ = load_gguf(tmp_path / "one.gguf")
    latent = sum(p.numel() for name, p in model.named_parameters() if name in weights_of(model).ternary)
    assert sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in loaded.parameters()) == latent
    with frozen(loaded):
        first = logits(loaded)
    assert torch.equal(first, logits(loaded)) and torch.equal(first, logits(model))
    export(loaded, tmp_path / "two.gguf", facts=Facts("one"))
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()


def test_a_loaded_model_computes_in_double_precision_too(tmp_path: Path) -> None:
    model = exported_model("mhc.streams=2")
    export(model, tmp_path / "x.gguf")
    loaded, _, _ = load_gguf(tmp_path / "x.gguf", dtype=torch.float64)
    found, expected = logits(loaded), logits(model)
    assert found.dtype == torch.float64
    assert (found - expected).norm() < 0.02 * expected.norm()


def test_replacing_takes_an_earlier_export_and_nothing_else(tmp_path: Path) -> None:
    folder, file, device = tmp_path / "mine", tmp_path / "model.gguf", tmp_path / "device"
    folder.mkdir()
    (folder / "precious").write_text("mine")
    os.mkfifo(device)

    def make_file(path: Path) -> None:
        path.write_text("GGUF exported")

    def make_folder(path: Path) -> None:
        path.mkdir()
        (path / "nanoconsole.json").write_text('{"schema": 1, "form": "plain", "config": {}, "tokenizer": ""}')

    for path, build in ((folder, make_file), (folder, make_folder), (device, make_file)):
        with pytest.raises(UsageError, match="is not replaced"):
            write_new(path, build, folder=build is make_folder, overwrite=True)
    for _ in range(2):
        write_new(file, make_file, overwrite=True)
    with pytest.raises(UsageError, match="is not replaced"):
        write_new(file, make_folder, folder=True, overwrite=True)
    assert (folder / "precious").read_text() == "mine" and device.is_fifo() and file.is_file()
    for _ in range(2):
        write_new(tmp_path / "hf", make_folder, folder=True, overwrite=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["device", "hf", "mine", "model.gguf"]


def test_what_a_preset_says_of_itself_is_not_said_of_a_changed_model(tmp_path: Path) -> None:
    model = exported_model("about.description=Two residual streams.", "about.expects=A laptop.", "mhc.streams=1")
    export(model, tmp_path / "x.gguf")
    assert b"Two residual streams" not in (tmp_path / "x.gguf").read_bytes()
    about = load_gguf(tmp_path / "x.gguf")[2].about
    assert (about.description, about.expects) == ("", "")
