"""`inspect`: what is inside checkpoints, against the model's own quantiser; damaged files are one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.checkpoint.state import load_checkpoint, save_checkpoint
from nanocore.export.gguf_write import export_gguf
from nanocore.export.hugging_face import export_hf
from nanocore.infer.contents import contents
from nanocore.infer.load import load_model
from nanocore.infer.locate import locate
from nanocore.model.bitlinear import BitLinear
from nanocore.model.quantise import ternary_weight
from tests import command_line
from tests.command_line import Nano
from tests.resealed import reseal_gguf
from tests.saved import saved_run

nano = command_line.nano
MOE = ("moe.experts=4", "moe.active=2", "moe.d_expert=16", "moe.every=2")


@pytest.mark.parametrize("sets", [(), ("model.group_size=16", "model.tie_embeddings=false"), MOE])
def test_every_tensor_is_listed_and_zeros_are_those_of_the_quantiser(tmp_path: Path, sets: tuple[str, ...]) -> None:
    source = locate(saved_run(tmp_path, *sets).path)
    model, _, config = load_model(source.path)
    table = contents(source).table()
    tensors = {each["name"]: each for each in table["tensors"]}
    state = model.state_dict()
    assert {name: each["shape"] for name, each in tensors.items()} == {k: tuple(v.shape) for k, v in state.items()}
    assert all(tensors[name]["bytes"] == value.numel() * 4 for name, value in state.items())
    linears = {f"{name}.weight": m for name, m in model.named_modules() if isinstance(m, BitLinear)}
    assert linears
    for name, linear in linears.items():
        codes, scale = ternary_weight(linear.weight.detach(), config.model.group_size)
        found = tensors[name]
        assert found["zero_fraction"] == pytest.approx(float((codes == 0).float().mean()), abs=1e-6)
        assert (found["scales"], found["scale"]) == (scale.numel(), pytest.approx(float(scale.mean()), rel=1e-5))
    assert all(each["zero_fraction"] is None for name, each in tensors.items() if not each["ternary"])
    assert table["totals"]["parameters"] == sum(value.numel() for value in state.values())
    stacked = [name for name, each in tensors.items() if each["ternary"] and len(each["shape"]) == 3]
    assert len(stacked) == (3 if sets == MOE else 0)
    assert table["totals"]["not_measured"] == 0


def test_of_a_large_model_only_a_part_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanocore.infer.contents.MEASURED", 3000)
    totals = contents(locate(saved_run(tmp_path).path)).table()["totals"]
    assert totals["not_measured"] > 0
    assert 0.1 < totals["zero_fraction"] < 0.6


@pytest.mark.slow
def test_the_verb_prints_tables_and_refuses_damage_in_one_line(nano: Nano, tmp_path: Path) -> None:
    run = saved_run(nano.root)
    shown = nano("inspect", "saved")
    assert shown.code == 0, shown.err
    assert "blocks.0.attention.query.weight" in shown.out and "ternary parameters" in shown.out and " %" in shown.out
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 40)
    (run.checkpoints_dir / "step-00000003" / "model.safetensors").write_bytes(b"x" * 40)
    for name, code in ((str(broken), 2), (str(run.checkpoints_dir / "step-00000003"), 5), ("nothing", 2)):
        refused = nano("inspect", name)
        assert (refused.code, refused.out, len(refused.err.splitlines())) == (code, "", 1), refused


@pytest.mark.slow
def test_weights_optimizer_state_and_the_rest_are_told_apart(nano: Nano) -> None:
    run = saved_run(nano.root, "mhc.streams=2", "mtp.horizon=1")
    held = load_checkpoint(run.checkpoints_dir / "step-00000003")
    moments = {
        f"{name}.{moment}": tensor.clone() for name, tensor in held.model.items() for moment in ("first", "second")
    }
    folder = save_checkpoint(
        run, 4, model=held.model, optimizer=moments, state=held.state, tokenizer_json=held.tokenizer_json
    )
    found, sizes = (
        nano("inspect", "saved", "--json").data,
        {path.name: path.stat().st_size for path in folder.iterdir()},
    )
    model, optimizer = sizes["model.safetensors"], sizes["optim.safetensors"]
    assert found["parts"] == {"model": model, "optimizer": optimizer, "other": sum(sizes.values()) - model - optimizer}
    assert found["bytes"] == sum(sizes.values()) and optimizer > 1.9 * model
    assert found["totals"]["tensor_bytes"] == sum(each["bytes"] for each in found["tensors"]) <= model
    assert found["architecture"] == "nanoconsole" and "2 residual streams" in found["description"]
    shown = nano("inspect", "saved").out
    assert all(words in shown for words in ("model weights", "optimizer state", "all on disk", found["description"]))


def test_a_checkpoint_has_the_architecture_of_the_file_that_it_becomes(tmp_path: Path) -> None:
    source = locate(saved_run(tmp_path, "mhc.streams=1").path)
    model, tokenizer, config = load_model(source.path)
    report = export_gguf(model, tokenizer, config, tmp_path / "a.gguf")
    checkpoint, file = contents(source).table(), contents(locate(tmp_path / "a.gguf")).table()
    assert checkpoint["architecture"] == file["architecture"] == report.architecture != "nanoconsole"
    assert file["parts"]["model"] == file["totals"]["tensor_bytes"] < file["bytes"] == report.bytes
    assert "optimizer" not in file["parts"]


def test_a_file_says_what_it_computes_and_nothing_of_techniques_that_are_off(tmp_path: Path) -> None:
    source = locate(saved_run(tmp_path, "mhc.streams=2", "mtp.horizon=1", "model.linear=float").path)
    model, tokenizer, config = load_model(source.path)
    export_gguf(model, tokenizer, config, tmp_path / "a.gguf")
    checkpoint, file = contents(source).table(), contents(locate(tmp_path / "a.gguf")).table()
    assert file["description"] == checkpoint["description"] and "2 residual streams" in file["description"]
    sections = {key.split(".")[1] for key in file["facts"] if key.startswith("nanoconsole.")}
    assert {"mhc", "mtp", "hyper_connection", "block_count"} <= sections and not sections & {"moe", "delta", "loop"}
    assert file["facts"]["nanoconsole.attention.layer_norm_rms_epsilon"] == config.model.norm_eps
    damaged = (tmp_path / "a.gguf").read_bytes().replace(b'"d_model": ', b'"d_modle": ')
    (tmp_path / "a.gguf").write_bytes(damaged)
    reseal_gguf(tmp_path / "a.gguf")
    assert contents(locate(tmp_path / "a.gguf")).description.startswith("unknown: a.gguf")


def test_a_stock_file_computes_without_the_prediction_heads_that_it_lacks(tmp_path: Path) -> None:
    source = locate(saved_run(tmp_path, "mhc.streams=1", "mtp.horizon=1").path)
    model, tokenizer, config = load_model(source.path)
    export_gguf(model, tokenizer, config, tmp_path / "a.gguf", architecture="stock")
    export_hf(model, tokenizer, config, tmp_path / "hf")
    found = [contents(locate(path)).description for path in (source.path, tmp_path / "a.gguf", tmp_path / "hf")]
    assert found[0] == f"{found[1]}, prediction heads: 1" and found[1] == found[2] != ""


def test_an_empty_file_is_called_empty(nano: Nano, tmp_path: Path) -> None:
    for name in ("a.gguf", "a.safetensors", "a.mhc", "a"):
        (tmp_path / name).touch()
        refused = nano("inspect", str(tmp_path / name))
        assert (refused.code, refused.out, refused.err) == (
            2, "", f"nanoconsole: {tmp_path / name}: is empty; fetch or write it again\n",
        )  # fmt: skip
