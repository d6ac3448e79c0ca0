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
    ],
)
def test_usual_settings_are_let_alone(sets: list[str]) -> None:
    assert advice(resolve("tiny-cpu", sets)) == []


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
