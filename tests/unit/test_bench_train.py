"""`bench train`: every side really trains the same batches, and a mode that fails says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nanocore.bench.plain_model import PlainModel
from nanocore.bench.train import bench_train
from nanocore.bench.train_sides import PLAIN, Ours, Plain, plain_flops_per_token
from nanocore.config.flops import flops_per_token
from nanocore.config.toml import dump
from nanocore.data.prepare import prepare
from nanocore.runs.layout import cache_root
from nanocore.train.hardware import choose_machine
from tests.tiny import tiny_config


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tiny.toml"
    path.write_text(dump(tiny_config()))
    return str(path)


def measured(preset: str, **options: Any) -> dict[str, Any]:
    return bench_train(
        preset, [], **{"threads": [1], "modes": ["eager"], "rounds": 1, "progress": lambda _: None} | options
    )


def test_a_row_for_each_side_with_its_times(preset: str) -> None:
    report = measured(preset)
    rows = {row["model"]: row for row in report["rows"]}
    assert list(rows) == ["as configured", "one stream", "float twin", PLAIN]
    assert rows[PLAIN]["against_plain"] == 1.0 and rows["as configured"]["against_plain"] > 0
    for row in rows.values():
        assert row["tokens_per_second"] == pytest.approx(report["tokens_per_step"] / row["step_seconds"])
        assert list(row["parts"]) == ["data_wait", "forward", "backward", "optimizer"]
        assert (row["mfu"], row["reason"]) == (None, "")
    assert rows["as configured"]["parameters"] == rows["float twin"]["parameters"] > rows["one stream"]["parameters"]


def test_what_cannot_be_compiled_stands_with_its_reason(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("no C++ compiler\nin a long\ntrace")

    monkeypatch.setattr(torch, "compile", lambda model: broken)
    rows = measured(preset, modes=["compiled"])["rows"]
    plain = next(row for row in rows if row["model"] == PLAIN)
    assert plain["reason"] == "not run: RuntimeError: no C++ compiler"
    assert (plain["tokens_per_second"], plain["against_plain"], plain["parts"]["forward"]) == (None, None, None)


def test_a_model_that_the_trainer_would_not_compile_is_not_shown_as_compiled(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda model: model)
    Path(preset).write_text(dump(tiny_config("loop.count=2", "mhc.streams=1")))
    rows = {row["model"]: row for row in measured(preset, modes=["compiled"])["rows"]}
    assert "looped model cannot be compiled" in rows["as configured"]["reason"]
    assert rows["as configured"]["step_seconds"] is None and rows[PLAIN]["reason"] == ""


TECHNIQUES = (
    ("mtp.horizon=2",), ("mtp.horizon=1", "mtp.kind=sequential"), ("collider.mode=full",), ("loop.count=3",), ("delta.pattern=DA",),
    ("moe.experts=4", "moe.shared=1", "moe.d_expert=16"), ("model.linear=float", "fp4.format=nvfp4"),
    ("model.qk_norm=false", "model.sub_norm=true", "model.tie_embeddings=false", "mhc.streams=4"),
)  # fmt: skip


@pytest.mark.parametrize("sets", TECHNIQUES, ids=lambda sets: sets[0])
def test_the_arithmetic_of_the_plain_model_is_that_of_the_shape_without_techniques(sets: tuple[str, ...]) -> None:
    without = tiny_config("mhc.streams=1")
    assert plain_flops_per_token(tiny_config(*sets), 20) == flops_per_token(without, 20)


def test_the_plain_side_counts_its_own_arithmetic_and_not_that_of_prediction_heads(preset: str) -> None:
    plain, heads = (tiny_config(*sets) for sets in ((), ("mtp.horizon=2",)))
    corpus, machine = prepare(plain.data, cache=cache_root()), choose_machine(plain.hardware)
    sides = [Plain(config, "eager", corpus, machine) for config in (plain, heads)]
    assert sides[0].flops_per_token == sides[1].flops_per_token > 0
    assert Ours(heads, "eager", corpus, machine).flops_per_token > sides[1].flops_per_token


def test_each_step_of_the_fp4_study_has_random_numbers_of_its_own(preset: str) -> None:
    config = tiny_config("model.linear=float", "fp4.format=nvfp4")
    side = Ours(config, "eager", prepare(config.data, cache=cache_root()), choose_machine(config.hardware))
    for _ in range(2):
        side.step()
    places = {module.fp4._place[1] for module in side._core.modules() if getattr(module, "fp4", None)}
    assert places == {1}


def test_the_plain_model_is_causal_and_learns(preset: str) -> None:
    config = tiny_config("training.batch_size=2")
    torch.manual_seed(0)
    model = PlainModel(config, 20)
    tokens = torch.randint(20, (1, config.model.context_length))
    targets = torch.full_like(tokens, -1)
    targets[0, 3] = 5
    changed = tokens.clone()
    changed[0, 4:] = 7
    assert model(tokens, targets).item() == pytest.approx(model(changed, targets).item(), abs=1e-6)
    changed[0, 2] = (changed[0, 2] + 1) % 20
    assert model(tokens, targets).item() != pytest.approx(model(changed, targets).item(), abs=1e-6)
    side = Plain(config, "eager", prepare(config.data, cache=cache_root()), choose_machine(config.hardware))
    before = side._model(tokens, tokens).item()
    for _ in range(5):
        side.step()
    assert side._model(tokens, tokens).item() != before
