"""Estimates by hand for models small enough to count on paper; the real model is asked in integration/test_estimate."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nanocore.config import machine
from nanocore.config.estimate import estimate, vocabulary
from nanocore.config.flops import recomputed_per_token
from nanocore.config.layers import passes
from nanocore.config.presets import find
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.data.byte_level import read_tokenizer_file
from nanocore.errors import DataError


def _config(**sections: dict[str, Any]) -> Config:
    model = {"d_model": 8, "n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "d_ff": 16, "context_length": 8}
    hardware = {"device": "cpu", "dtype": "float32"}
    tables = {
        **sections,
        "model": model | sections.get("model", {}),
        "hardware": hardware | sections.get("hardware", {}),
    }
    return Config.model_validate(tables)


def test_parameters_counted_on_paper() -> None:
    # q and o 8x8, k and v 8x4, three 8x16; embedding 257x8; norms 8+8, final 8, of queries and keys 4+4
    result = estimate(_config())
    assert result.ternary_parameters == 2 * 64 + 2 * 32 + 3 * 128
    assert result.embedding_parameters == 257 * 8
    assert result.parameters == 576 + 257 * 8 + 24 + 8


def test_the_float_twin_has_the_same_parameters_and_none_ternary() -> None:
    ternary, twin = estimate(_config()), estimate(_config(model={"linear": "float"}))
    assert (twin.parameters, twin.ternary_parameters) == (ternary.parameters, 0)


def test_four_streams_cost_two_maps_of_four_and_24_permutations_where_they_mix() -> None:
    one, four = (estimate(_config(model={"n_layers": 2}, mhc={"streams": n})).parameters for n in (1, 4))
    assert four - one == 4 * (4 + 4) + 2 * 24  # four sub-layers; the first and the last do not mix


def test_experts_are_counted_whole_and_used_in_part() -> None:
    # four experts of three 8x16, an expert shared by all, a router of four rows; a token meets two experts
    dense, experts = estimate(_config()), estimate(_config(moe={"experts": 4, "active": 2, "shared": 1}))
    assert experts.parameters - dense.parameters == 4 * 3 * 128 + 4 * 8
    assert experts.parameters - experts.active_parameters == 2 * 3 * 128
    assert dense.active_parameters == dense.parameters
    assert experts.flops_per_token - dense.flops_per_token == 6 * (2 * 3 * 128 + 4 * 8)


def test_a_delta_net_has_five_matrices_and_small_float_parts() -> None:
    attention, delta = estimate(_config()), estimate(_config(delta={"pattern": "D", "chunk": 4}))
    small = 2 * 8 + (2 * 8 + 2 + 2) + 3 * 8 * 4  # strength; decay with bias and rate; convolution of width 4
    norms = 4 - (4 + 4)  # of each head in place of queries' and keys'
    assert delta.ternary_parameters - attention.ternary_parameters == 5 * 64 - (2 * 64 + 2 * 32)
    assert delta.parameters - attention.parameters == 5 * 64 - (2 * 64 + 2 * 32) + small + norms
    matrices = 6 * (delta.ternary_parameters + 257 * 8)
    rule = 2 * 4 * (8 * 4 + 6 * 4) + 6 * 4 * 8 + 2 * 2 * 8 * 2  # chunks and states; convolution; strength and decay
    assert delta.flops_per_token == matrices + 3 * rule


def test_a_loop_costs_arithmetic_and_a_gate_but_no_other_parameters() -> None:
    once, thrice = estimate(_config()), estimate(_config(loop={"count": 3}))
    assert thrice.parameters - once.parameters == 8 + 8 + 1
    assert thrice.flops_per_token == 3 * once.flops_per_token
    assert thrice.activation_bytes > 2.5 * once.activation_bytes


def test_what_the_loop_of_d20_loop_costs_is_as_it_says() -> None:
    base, looped = resolve("d20"), resolve("d20-loop")
    layers, loop = base.model.n_layers, looped.loop
    trained = sum(passes(looped, layer) for layer in range(layers))
    generated = loop.before + loop.count * (layers - loop.before - loop.after) + loop.after
    text = find("d20-loop").path.read_text().replace("\n# ", " ")
    assert f"{trained} passes through blocks for the {layers} of d20 ({generated} when generating)" in text
    times = estimate(looped).flops_per_token / estimate(base).flops_per_token
    assert f"together {times:.1f} times the operations" in text


def test_the_gate_alone_has_gradients_in_the_second_stage() -> None:
    joint, gate = (estimate(_config(loop={"count": 3, "stage": stage})) for stage in ("joint", "gate"))
    assert (gate.gradient_bytes, gate.parameters) == (4 * 17, joint.parameters)
    assert 3 * gate.flops_per_token == joint.flops_per_token


@pytest.mark.parametrize(("kind", "matrices", "norms"), [("independent", 64, 8), ("sequential", 128 + 576, 3 * 8 + 24)])
def test_heads_for_further_tokens(kind: str, matrices: int, norms: int) -> None:
    plain, heads = estimate(_config()), estimate(_config(mtp={"horizon": 2, "kind": kind}))
    assert heads.ternary_parameters - plain.ternary_parameters == 2 * matrices
    assert heads.parameters - plain.parameters == 2 * (matrices + norms)
    block = 6 * 8 * 9 if kind == "sequential" else 0
    assert heads.flops_per_token - plain.flops_per_token == 2 * (6 * (matrices + 257 * 8) + block)


def test_token_filtering_saves_arithmetic_of_the_backward_pass() -> None:
    off, head, full = (estimate(_config(collider={"mode": mode})).flops_per_token for mode in ("off", "head", "full"))
    body, unembedding = 6 * (576 + 8 * 9), 6 * 257 * 8
    assert off == body + unembedding
    assert head == body + int(unembedding * (1 + 3 * 0.6) / 3)  # it scores all tokens, then trains on 60 %
    assert full == int(body * (1 + 2 * 0.6) / 3) + int(unembedding * (1 + 3 * 0.6) / 3)


def test_int8_state_is_a_byte_a_value_and_a_scale_for_each_block() -> None:
    rest = 8 * (257 * 8 + 32) + 4 * 6
    eight_bit = {"state": "int8", "state_block": 64}
    scales = 2 * 1 + 2 * 1 + 3 * 2  # of 64, 32 and 128 values
    assert estimate(_config(optimizer=eight_bit)).optimizer_bytes == 576 + 4 * scales + rest
    stochastic = estimate(_config(optimizer=eight_bit | {"stochastic_rounding": True})).optimizer_bytes
    assert stochastic == 576 + 4 * scales + 8 * 7 + rest


def test_galore_keeps_a_projector_and_less_momentum_where_that_is_smaller() -> None:
    # rank 2: of 8x16 2x8 and 2x16, of 8x8 2x8 and 2x8; of 4x8 rank 1, 1x4 and 1x8
    rest = 8 * (257 * 8 + 32) + 4 * 6
    subspaces = 3 * (16 + 32) + 2 * (16 + 16) + 2 * (4 + 8)
    assert estimate(_config(galore={"rank_fraction": 0.25})).optimizer_bytes == 4 * subspaces + 7 * 24 + rest
    assert estimate(_config(galore={"rank_fraction": 1.0})).optimizer_bytes == 4 * 576 + rest


@pytest.mark.parametrize("kept", ["selective", "full"])
def test_checkpointing_keeps_less_and_full_least(kept: str) -> None:
    before = {"selective": "none", "full": "selective"}[kept]
    less, more = (
        estimate(_config(model={"n_layers": 4}, training={"activation_checkpointing": mode})) for mode in (kept, before)
    )
    assert less.activation_bytes < more.activation_bytes
    assert less.peak_bytes < more.peak_bytes
    assert less.flops_per_token == more.flops_per_token  # of the model, not of the machine


def test_checkpointing_computes_forward_passes_again() -> None:
    def again(mode: str, **sections: dict[str, Any]) -> int:
        return recomputed_per_token(_config(training={"activation_checkpointing": mode}, **sections))

    feed_forward, block = 2 * 3 * 128, 2 * 576 + 2 * 8 * 9
    assert (again("none"), again("selective"), again("full")) == (0, feed_forward, block)
    assert again("full", loop={"count": 3}) == 3 * block
    assert again("full", loop={"count": 3, "stage": "gate"}) == 0
    assert again("selective", moe={"experts": 4, "active": 2}) == 2 * feed_forward + 2 * 4 * 8
    sequential = {"horizon": 2, "kind": "sequential"}  # which has blocks too
    assert (again("selective", mtp=sequential), again("full", mtp=sequential)) == (3 * feed_forward, 3 * block)


def test_optimizer_bytes_are_four_a_value_for_muon_and_lion_and_eight_for_adamw() -> None:
    matrix, rest = 576, 257 * 8 + 32
    assert estimate(_config()).optimizer_bytes == 4 * matrix + 8 * rest + 4 * 6  # a counter for each AdamW tensor
    lion = {"matrices": "lion", "others": "lion"}
    assert estimate(_config(optimizer=lion)).optimizer_bytes == 4 * (matrix + rest)


def test_weights_and_gradients_are_float32() -> None:
    result = estimate(_config())
    assert result.weight_bytes == result.gradient_bytes == 4 * result.parameters


@pytest.mark.parametrize(
    ("training", "tokens"),
    [({"steps": 5}, 5 * 128), ({"tokens": 129}, 256), ({"duration": "8h"}, 0)],
)
def test_tokens_of_the_run(training: dict[str, Any], tokens: int) -> None:
    assert estimate(_config(training=training)).tokens == tokens  # 16 sequences of 8 a step


def test_arithmetic_of_a_token() -> None:
    # 6 for each matmul weight, head included; attention reads (T + 1) / 2 tokens on average, twice, three times
    assert estimate(_config()).flops_per_token == 6 * (576 + 257 * 8) + 6 * 8 * 9


def test_more_micro_batches_keep_less() -> None:
    whole, parts = (estimate(_config(training={"accumulation": n})) for n in (1, 4))
    assert parts.activation_bytes < whole.activation_bytes / 2
    assert parts.peak_bytes < whole.peak_bytes


def test_bfloat16_keeps_less_than_float32() -> None:
    assert estimate(_config(hardware={"dtype": "bfloat16"})).activation_bytes < estimate(_config()).activation_bytes


def test_the_vocabulary_is_the_tokenizers(tmp_path: Path) -> None:
    assert vocabulary(_config()) == 257
    assert vocabulary(_config(data={"tokenizer": "bpe", "vocab_size": 4096})) == 4096
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": {"vocab": {"a": 0, "b": 7}}, "added_tokens": [{"id": 8, "content": "<s>"}]}))
    assert vocabulary(_config(data={"tokenizer": "file", "tokenizer_file": str(path)})) == 9


NO_TOKENIZERS = [
    "", "[]", "{}", '{"model": {"vocab": {}}}', '{"model": {"vocab": {"a": "b"}}}', '{"model": {"vocab": {"a": 1e999}}}',
    '{"model": {"vocab": {"a": 10000000000}}}', '{"model": {"vocab": {"a": -9}}}', "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TOKENIZERS, ids=lambda text: text[:40])
def test_a_tokenizer_file_that_is_none_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    config = _config(data={"tokenizer": "file", "tokenizer_file": str(path)})
    with pytest.raises(DataError, match=r"cannot be read as a tokenizer\.json; check data.tokenizer_file"):
        estimate(config)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "No such file"), ("folder", "Is a directory"), ("pipe", "not a regular file"),
        ("device", "not a regular file"), ("huge", "larger than 64 MiB"), ("nobody", "as a tokenizer.json"),
    ],
)  # fmt: skip
def test_a_tokenizer_file_is_neither_waited_for_nor_read_without_end(tmp_path: Path, kind: str, words: str) -> None:
    path = tmp_path / "tokenizer.json"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "huge":
            path.touch()
            os.truncate(path, (64 << 20) + 1)
        case "nobody":
            path = Path("~no-such-user/tokenizer.json")
    with pytest.raises(DataError, match=words):
        estimate(_config(data={"tokenizer": "file", "tokenizer_file": str(path)}))
    if kind != "nobody":
        with pytest.raises(DataError, match=words):
            read_tokenizer_file(path)


@pytest.mark.parametrize(
    ("preset", "parameters", "ternary"),
    [("d20", 17_981_508, 5_111_808), ("nano-125m", 124_317_068, 99_090_432)],
)
def test_presets_have_the_sizes_they_are_known_by(preset: str, parameters: int, ternary: int) -> None:
    result = estimate(resolve(preset, ["mtp.horizon=0"]))
    assert result.ternary_parameters == ternary
    assert result.parameters == parameters


def test_nano_125m_is_125_million_within_three_percent() -> None:
    assert estimate(resolve("nano-125m", ["mtp.horizon=0"])).parameters == pytest.approx(125e6, rel=0.03)


@pytest.mark.parametrize(
    ("flags", "fast"), [("fpu avx512_bf16 vnni", True), ("fpu amx_bf16", True), ("fpu avx2 bf16x", False)]
)
def test_auto_takes_bfloat16_where_the_processor_multiplies_it(
    flags: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"processor: 0\nflags : {flags}\n")
    machine.cpu_multiplies_bfloat16.cache_clear()
    assert machine.compute_bytes(_config(hardware={"dtype": "auto"}).hardware) == (2 if fast else 4)
    monkeypatch.undo()
    machine.cpu_multiplies_bfloat16.cache_clear()
