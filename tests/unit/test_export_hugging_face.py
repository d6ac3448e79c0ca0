"""Folders for transformers: names, numbers and the card; that transformers computes the same is tested with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
import torch

from nanocore.data.tokenizer import ByteTokenizer
from nanocore.errors import UsageError
from nanocore.export.hugging_face import export_hf
from nanocore.export.report import Facts
from nanocore.export.safetensors_read import read_safetensors
from nanocore.export.tensors import weights_of
from nanocore.export.unquantised import activation_effect, float_twin
from tests.exports import BITNET, CASES, exported_model
from tests.models import random_tokens
from tests.techniques import MOE

TOKENIZER = ByteTokenizer()


def table(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def test_plain_weights_are_the_ternary_ones_multiplied_out(tmp_path: Path) -> None:
    model, folder = exported_model("mtp.horizon=1", "model.tie_embeddings=false"), tmp_path / "hf"
    report = export_hf(model, TOKENIZER, model.config, folder)
    tensors, weights = read_safetensors(folder / "model.safetensors"), weights_of(model)
    codes, scale = weights.ternary["blocks.1.feed_forward.down.weight"]
    assert torch.equal(tensors["model.layers.1.mlp.down_proj.weight"], codes * scale)
    assert torch.equal(tensors["lm_head.weight"], weights.floats["head.weight"])
    assert torch.equal(tensors["model.layers.0.self_attn.q_norm.weight"], model.blocks[0].attention.query_norm.weight)
    assert not any("prediction" in name for name in tensors) and "prediction heads (MTP)" in report.dropped[0]
    config = table(folder, "config.json")
    assert (config["architectures"], config["model_type"]) == (["Qwen3ForCausalLM"], "qwen3")
    assert (config["head_dim"], config["num_key_value_heads"], config["tie_word_embeddings"]) == (8, 1, False)
    assert "quantization_config" not in config
    assert (folder / "model.safetensors").stat().st_mode == (folder / "config.json").stat().st_mode


def test_bitnet_weights_are_codes_and_scales(tmp_path: Path) -> None:
    model, folder = exported_model(*BITNET), tmp_path / "hf"
    export_hf(model, TOKENIZER, model.config, folder, form="bitnet")
    tensors = read_safetensors(folder / "model.safetensors")
    codes, scale = weights_of(model).ternary["blocks.0.feed_forward.up.weight"]  # (32, 16)
    packed = tensors["model.layers.0.mlp.up_proj.weight"]
    quarters = [(packed >> shift & 3).to(torch.int8) - 1 for shift in (0, 2, 4, 6)]
    assert packed.dtype == torch.uint8 and torch.equal(torch.cat(quarters), codes)
    assert tensors["model.layers.0.mlp.up_proj.weight_scale"].tolist() == [scale.item()]
    settings = table(folder, "config.json")["quantization_config"]
    assert settings["quant_method"] == "bitnet" and settings["modules_to_not_convert"] == ["lm_head"]


def test_the_tokenizer_file_makes_our_tokens_behind_bos(tmp_path: Path) -> None:
    model = exported_model()
    export_hf(model, TOKENIZER, model.config, tmp_path / "hf")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "hf" / "tokenizer.json"))
    text = "héllo <x>\n\n  wörld 1234 漢字"
    assert theirs.encode(text).ids == [256, *TOKENIZER.encode(text).tolist()]
    assert theirs.decode(theirs.encode(text).ids) == text
    assert table(tmp_path / "hf", "tokenizer_config.json")["bos_token"] == "<|bos|>"


def test_the_card_states_figures_and_what_unquantised_activations_change(tmp_path: Path) -> None:
    model = exported_model()
    facts = Facts("tiny\n# injected", "mit", "a test", {"bits_per_byte": 1.23456, "run": "a|b"})
    report = export_hf(model, TOKENIZER, model.config, tmp_path / "hf", facts=facts)
    card = (tmp_path / "hf" / "README.md").read_text()
    assert card.startswith('---\nlicense: "mit"\n')
    assert "| bits_per_byte | 1.235 |" in card and "| run | a\\|b |" in card
    assert "\n# injected" not in card
    assert report.notes[0] in card and "activations are not quantised" in card
    effect = activation_effect(model, TOKENIZER, "def mean(values):")
    assert 1e-4 < effect.difference < 0.1 and abs(effect.loss - effect.loss_unquantised) < 0.1


def test_the_float_twin_differs_by_the_activations_alone() -> None:
    """Its weights are exactly codes times scales, in groups too: with whole numbers as input both agree."""
    model = exported_model("model.group_size=8", *MOE)
    twin = float_twin(model)
    x = torch.randint(-127, 128, (3, 16)).float()
    x[:, 0] = 127  # then the codes of the tokens are the numbers themselves
    ours, theirs = model.blocks[0].attention.query(x), twin.blocks[0].attention.query(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    tokens = random_tokens(1, 12, 257)
    with torch.no_grad():
        logits = [each.logits(each(tokens)) for each in (model, twin)]
    assert 0 < (logits[0] - logits[1]).norm() < 0.1 * logits[0].norm()


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (("mhc.streams=2",), "one residual stream"),
        (("model.activation=relu2",), "SwiGLU"),
        (("delta.pattern=D",), "DeltaNet"),
        (CASES["experts"][0], "experts are exported as GGUF only"),
    ],
)
def test_models_without_a_class_are_refused_with_the_reason(sets: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    model = exported_model(*sets)
    with pytest.raises(UsageError, match=f"{reason}.*; use --to gguf"):
        export_hf(model, TOKENIZER, model.config, tmp_path / "hf")
    assert not list(tmp_path.iterdir())


def test_group_scales_go_into_plain_folders_only(tmp_path: Path) -> None:
    model = exported_model("model.group_size=8")
    with pytest.raises(UsageError, match=r"a scale for each group of columns.*use --form plain"):
        export_hf(model, TOKENIZER, model.config, tmp_path / "hf", form="bitnet")
    export_hf(model, TOKENIZER, model.config, tmp_path / "hf")
    found = read_safetensors(tmp_path / "hf" / "model.safetensors")["model.layers.0.self_attn.q_proj.weight"]
    assert torch.equal(found, weights_of(model).ternary["blocks.0.attention.query.weight"].dequantise())


def test_a_folder_is_replaced_as_a_whole_and_only_when_asked(tmp_path: Path) -> None:
    folder, model = tmp_path / "hf", exported_model()
    folder.mkdir()
    (folder / "mine").write_text("x")
    with pytest.raises(UsageError, match="exists already"):
        export_hf(model, TOKENIZER, model.config, folder)
    with pytest.raises(UsageError, match="is not replaced"):
        export_hf(model, TOKENIZER, model.config, folder, overwrite=True)
    assert [each.name for each in folder.iterdir()] == ["mine"]
    (folder / "mine").rename(folder / "README.md")
    export_hf(model, TOKENIZER, model.config, folder, overwrite=True)
    assert (folder / "README.md").read_text() != "x"
    assert [each.name for each in tmp_path.iterdir()] == ["hf"]
