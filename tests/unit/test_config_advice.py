"""What a configuration is told before it trains: settings that work, but are probably not what was meant."""

from __future__ import annotations

import pytest

from nanocore.config.advice import advice, behind_the_end
from nanocore.config.presets import presets
from nanocore.config.resolve import resolve


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["optimizer.matrices=adamw"], "adamw moves matrices with about 0.003"),
        (["optimizer.matrices=lion"], "lion moves matrices with about 0.001"),
        (["optimizer.shape_scale=match_rms_adamw"], "with match_rms_adamw about 0.006"),
        (["galore.rank_fraction=1.0"], "0 of 28 matrices are projected at 1.0, the others stay with plain Muon"),
        (["galore.rank_fraction=0.9", "galore.refresh_every=700"], "(the state of 28 would grow); more are with"),
        (
            ["galore.rank_fraction=0.25", "moe.experts=4"],
            "16 of 28 matrices are projected at 0.25, the others stay with plain Muon (12 are stacks of experts)",
        ),
        (["galore.rank_fraction=0.25", "galore.refresh_every=700"], "which stay in their first subspace"),
        (["collider.mode=head", "collider.start_step=700"], "no token is ever filtered; a tenth of the run is usual"),
        (["schedule.warmup_steps=700"], "700 is not before the end of 700 steps, so the rate rises to the last one"),
        (["fire.at_step=700"], "700 is the last step, so what FIRE makes anew is never trained"),
        (["fire.at_step=701"], "701 is behind the end of 700 steps, so FIRE never comes"),
        (["fp4.format=nvfp4", "fp4.input_gradient=false", "fp4.weight_gradient=false"], "none of the matmuls"),
        (["collider.mode=head", "collider.importance=excess", "collider.reference=run"], "leaves out this model"),
        (["collider.mode=head", "collider.keep=1.0"], "no token is dropped"),
        (["mtp.horizon=2", "mtp.weight=0"], "the heads learn nothing"),
        (["delta.pattern=D", "model.qk_norm=false"], "every layer is a DeltaNet layer"),
        (["loop.count=2", "loop.stage=gate"], "wants the weights of a trained run"),
    ],
)
def test_what_is_probably_not_meant_is_told_in_one_line(sets: list[str], said: str) -> None:
    (line,) = advice(resolve("tiny-cpu", sets))
    assert said in line
    assert line.split(":")[0] in " ".join(sets) or line.startswith("optimizer.matrix_lr")


@pytest.mark.parametrize(
    ("rank", "now", "projector", "with_it", "most"),
    [(0.5, 0, "int4", 28, 0.19), (0.4, 12, "int8", 28, 0.19), (0.7, 0, "int4", 20, 0.19)],
)
def test_a_subspace_without_room_beside_8_bits_is_told_with_the_ways_out(
    rank: float, now: int, projector: str, with_it: int, most: float
) -> None:
    def told(*sets: str) -> list[str]:
        return advice(resolve("tiny-cpu", ["optimizer.state=int8", "galore.refresh_every=70", *sets]))

    (line,) = told(f"galore.rank_fraction={rank}")
    assert line == (
        f"galore.rank_fraction: {now} of 28 matrices are projected at {rank}, the others stay with plain Muon "
        f"(the state of {28 - now} would grow); more are with "
        f'galore.projector = "{projector}" ({with_it}) or a rank of at most {most} (28)'
    )
    followed = told(f"galore.rank_fraction={rank}", f"galore.projector={projector}")
    assert [f": {with_it} of 28" in line for line in followed] == [True] * (with_it < 28)
    assert told(f"galore.rank_fraction={most}") == []
    assert [": 20 of 28" in line for line in told(f"galore.rank_fraction={most + 0.01}")] == [True]


@pytest.mark.parametrize(
    "sets",
    [
        ["optimizer.matrices=adamw", "optimizer.matrix_lr=0.003"],
        ["galore.rank_fraction=0.25", "galore.refresh_every=70"],
        ["fp4.format=nvfp4"],
        ["mtp.horizon=2", "mtp.weight=0", "mtp.final_weight=0.1"],
        ["collider.mode=head", "collider.start_step=699"],
        ["schedule.warmup_steps=699"],
        ["fire.at_step=699"],
        ["galore.rank_fraction=0.25", "galore.refresh_every=699"],
    ],
)
def test_usual_settings_are_let_alone(sets: list[str]) -> None:
    assert advice(resolve("tiny-cpu", sets)) == []


def test_a_fork_may_train_the_gate_alone() -> None:
    assert advice(resolve("tiny-cpu", ["loop.count=2", "loop.stage=gate"]), fork=True) == []


LATE = ["collider.mode=head", "collider.start_step=6000"]


@pytest.mark.parametrize("length", ["steps=5000", "tokens=10240000"])  # 2,048 tokens a step
def test_the_end_is_known_from_steps_and_from_tokens(length: str) -> None:
    (line,) = advice(resolve("tiny-cpu", [*LATE, f"training.{length}"]))
    assert line.startswith("collider.start_step: 6000 is not before the end of 5000 steps")


def test_of_a_length_of_time_nothing_is_said_before_its_steps_are_known() -> None:
    config = resolve("small-560m", ["training.duration=8h"])
    assert advice(config) == []
    assert [line.split(":")[0] for line in behind_the_end(config, 2300)] == ["collider.start_step"]
    assert [line.split(":")[0] for line in behind_the_end(config, 900)][1:] == ["schedule.warmup_steps"]


@pytest.mark.parametrize("name", [preset.name for preset in presets() if preset.origin == "built-in"])
def test_presets_need_no_advice(name: str) -> None:
    """Except that some need more text than every Python has."""
    assert [line for line in advice(resolve(name)) if not line.startswith("data.vocab_size: ")] == []


@pytest.mark.parametrize(
    ("mebibytes", "fits"),
    [(9.45, 32768), (12.0, None), (5.0, 16384), (0.0, None)],
    ids=["3.11", "more", "less", "none"],
)
def test_a_vocabulary_that_the_library_source_cannot_give_is_told(
    monkeypatch: pytest.MonkeyPatch, mebibytes: float, fits: int | None
) -> None:
    monkeypatch.setattr("nanocore.data.sources.library_bytes", lambda: int(mebibytes * 2**20))
    lines = advice(resolve("d20"))
    assert [line.startswith("data.vocab_size: ") for line in lines] == [True] * (fits is not None)
    for line in lines:
        assert "cannot learn 50256" in line and line.endswith(f"or take {fits}")
        assert advice(resolve("d20", [f"data.vocab_size={fits}"])) == []
    own_text = 'data.sources=[{kind="stdlib"}, {kind="files", paths=["*.txt"]}]'
    assert (
        advice(resolve("d20", [own_text]))
        == advice(resolve("d20", ["data.tokenizer=bytes", "data.vocab_size=0"]))
        == []
    )
