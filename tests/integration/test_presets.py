"""Built-in presets against the real model and the real trainer: sizes, widths, and every technique really at work."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from nanocore.checkpoint.manifest import latest
from nanocore.config.estimate import vocabulary
from nanocore.config.presets import presets
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.model import block, transformer
from nanocore.model.recompute import recomputed
from nanocore.model.transformer import Transformer
from nanocore.runs.create import create_run
from nanocore.runs.records import read_all
from tests.quick import quick
from tests.reduced import reduced
from tests.tiny import train

NAMES = [preset.name for preset in presets() if preset.origin == "built-in"]
SIZED = [name for name in NAMES if re.search(r"-\d+[mb]$", name)]
ANY_WIDTH = ("tiny-cpu", "nanogpt-cpu")  # too narrow for blocks of 256
QUICK = ("tiny-cpu", "d20-e3-full", "d20-loop", "d20-e3-fp4", "small-560m", "nano-125m", "nanogpt-cpu", "test-8bit")
GGUF_BLOCK = 256  # input columns of a block of llama.cpp's ternary types, TQ1_0 and TQ2_0


def _on_meta(config: Config) -> Transformer:
    with torch.device("meta"):
        return Transformer(config, vocabulary(config))


def _without_heads(model: Transformer) -> int:
    """Parameters, multi-token prediction heads apart: they are dropped after training."""
    return sum(p.numel() for name, p in model.named_parameters() if not name.startswith("prediction_heads."))


@pytest.mark.parametrize("name", SIZED)
def test_a_name_that_states_a_size_is_true_within_3_percent(name: str) -> None:
    number, unit = re.findall(r"-(\d+)([mb])$", name)[0]
    assert _without_heads(_on_meta(resolve(name))) == pytest.approx(int(number) * {"m": 1e6, "b": 1e9}[unit], rel=0.03)


def test_the_sizes_are_these() -> None:
    assert {name: _without_heads(_on_meta(resolve(name))) for name in SIZED} == {
        "large-7b": 7_013_732_352,
        "medium-3b": 2_937_802_654,
        "nano-125m": 124_317_068,
        "nano-1b": 1_000_569_068,
        "small-560m": 567_789_956,
    }


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ANY_WIDTH])
def test_widths_suit_the_ternary_types_of_gguf(name: str) -> None:
    """Every input width is whole blocks, and a scale is for a whole block, save for the d20 shape's groups of 128."""
    config = resolve(name)
    model = _on_meta(config)
    roles = model.roles()
    matrices = {n: p for n, p in model.named_parameters() if roles[n] == "matrix"}
    assert {n: p.shape for n, p in matrices.items() if p.shape[-1] % GGUF_BLOCK} == {}
    assert config.model.group_size in ((128,) if name.startswith("d20") else (0, GGUF_BLOCK))


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def one_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(shared_cache))


@pytest.fixture
def recomputations(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Modules whose activations were not kept, as they are met."""
    seen: list[object] = []

    def noted(module: torch.nn.Module, *inputs: object) -> torch.Tensor:
        seen.append(module)
        return recomputed(module, *inputs)

    for place in (block, transformer):
        monkeypatch.setattr(place, "recomputed", noted)
    yield seen


def _train(config: Config, root: Path) -> tuple[Path, list[dict[str, float]]]:
    run = create_run(root, config, name="reduced")
    assert train(run) == 0, run.log_file.read_text()
    checkpoint = latest(run.checkpoints_dir)
    assert checkpoint is not None
    return checkpoint, [record for record in read_all(run.metrics_file) if "loss/ce" in record]


def _signs(config: Config) -> dict[str, bool]:
    """What a run leaves behind by technique, and whether this configuration should."""
    codes = config.galore.projector != "float32"
    return {
        "prediction_heads.": config.mtp.horizon > 0,
        "loss/mtp": config.mtp.horizon > 0,
        "collider/kept_fraction": config.collider.mode != "off",
        "exit_gate.": config.loop.count > 1,
        "loop/mean_turns": config.loop.count > 1,
        "feed_forward.router.weight": config.moe.experts > 0,
        "moe/max_violation": config.moe.experts > 0,
        "attention.decay.": "D" in config.delta.pattern,
        "attention.query_norm.": config.model.qk_norm,
        "attention_connection.": config.mhc.streams > 1,
        "query.weight.momentum_codes": config.optimizer.state != "float32",
        "query.weight.momentum_buffer": config.optimizer.matrices == "muon" and config.optimizer.state == "float32",
        "query.weight.projector_codes": config.galore.rank_fraction > 0 and codes,
        "query.weight.exp_avg_sq": config.optimizer.matrices == "adamw",
    }


@pytest.mark.parametrize("name", quick(NAMES, *QUICK))
def test_a_preset_trains_at_a_reduced_size_with_all_its_techniques(
    name: str, tmp_path: Path, recomputations: list[object]
) -> None:
    config = reduced(resolve(name), steps=3)
    checkpoint, metrics = _train(config, tmp_path)
    curve = [record["loss/ce"] for record in metrics]
    assert len(curve) == 3 and all(map(math.isfinite, curve))
    assert curve[-1] < curve[0]
    names = {key for record in metrics for key in record}
    for part in ("model", "optim"):
        with safe_open(checkpoint / f"{part}.safetensors", "pt") as tensors:
            names |= set(tensors.keys())
    assert {sign: any(sign in found for found in names) for sign in _signs(config)} == _signs(config)
    assert bool(recomputations) == (config.training.activation_checkpointing != "none")


def test_the_fp4_study_of_its_preset_changes_the_training(tmp_path: Path) -> None:
    config = reduced(resolve("d20-e3-fp4"), steps=2)
    without = reduced(resolve("d20-e3-fp4", ["fp4.format=off"]), steps=2)
    curves = [_train(config, tmp_path / "fp4")[1], _train(without, tmp_path / "without")[1]]
    first, second = ([record["loss/ce"] for record in curve] for curve in curves)
    assert first[0] == second[0]  # the forward pass is the same: ternary weights have whole-number inputs
    assert first[1] != second[1]
