"""What a configuration is told before it trains: settings that work, but are probably not what was meant."""

from __future__ import annotations

import pytest

from nanocore.config.advice import advice
from nanocore.config.presets import presets
from nanocore.config.resolve import resolve


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["optimizer.matrices=adamw"], "adamw moves matrices with about 0.003"),
        (["optimizer.matrices=lion"], "lion moves matrices with about 0.001"),
        (["optimizer.shape_scale=match_rms_adamw"], "with match_rms_adamw about 0.006"),
        (["galore.rank_fraction=1.0"], "stays with plain Muon"),
        (["galore.rank_fraction=0.25", "galore.refresh_every=700"], "stays in its first subspace"),
        (["fp4.format=nvfp4", "fp4.input_gradient=false", "fp4.weight_gradient=false"], "none of the matmuls"),
        (["collider.mode=head", "collider.importance=excess", "collider.reference=run"], "leaves out this model"),
        (["fire.at_step=701"], "ends at step 700, before it"),
        (["fire.at_step=11", "training.tokens=20000"], "ends at step 10"),
        (["fire.at_step=700"], "nothing trains the new weights"),
        (["collider.mode=full", "collider.start_step=700"], "no token is ever dropped"),
        (["collider.mode=head", "collider.keep=1.0"], "no token is dropped"),
        (["mtp.horizon=2", "mtp.weight=0"], "the heads learn nothing"),
    ],
)
def test_what_is_probably_not_meant_is_told_in_one_line(sets: list[str], said: str) -> None:
    (line,) = advice(resolve("tiny-cpu", sets))
    assert said in line
    assert line.split(":")[0] in " ".join(sets) or line.startswith("optimizer.matrix_lr")


@pytest.mark.parametrize(
    "sets",
    [
        ["optimizer.matrices=adamw", "optimizer.matrix_lr=0.003"],
        ["galore.rank_fraction=0.25", "galore.refresh_every=70"],
        ["fp4.format=nvfp4"],
        ["fire.at_step=699", "collider.mode=full", "collider.start_step=699"],
        ["fire.at_step=9000", "training.duration=8h"],
        ["mtp.horizon=2", "mtp.weight=0", "mtp.final_weight=0.1"],
    ],
)
def test_usual_settings_are_let_alone(sets: list[str]) -> None:
    assert advice(resolve("tiny-cpu", sets)) == []


@pytest.mark.parametrize("name", [preset.name for preset in presets() if preset.origin == "built-in"])
def test_presets_need_no_advice(name: str) -> None:
    assert advice(resolve(name)) == []
