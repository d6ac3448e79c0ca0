"""`bench memory`: bytes of live tensors beside the arithmetic, by technique."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import psutil
import pytest

from nanocore.bench.live_memory import state_bytes
from nanocore.bench.memory import BASELINE, CLAIM, PLAIN, TECHNIQUES, bench_memory, named
from nanocore.config.resolve import resolve
from nanocore.config.toml import dump
from nanocore.errors import UsageError
from tests.quick import quick
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("preset") / "tiny.toml"
    path.write_text(dump(tiny_config("model.d_model=64", "model.d_ff=128")))
    return str(path)


@pytest.mark.slow
def test_a_row_for_each_technique_with_the_estimate_beside_the_measurement(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = (BASELINE, "AdamW", "8-bit Muon", "GaLore, 8-bit", "checkpointing, full")
    monkeypatch.setattr("nanocore.bench.memory.TECHNIQUES", {name: TECHNIQUES[name] for name in chosen})
    told: list[str] = []
    report = bench_memory(preset, [], told.append)
    rows = {row["technique"].removesuffix(", rank 1/4"): row for row in report["rows"]}
    assert (tuple(rows), tuple(told), report["left_out"]) == (chosen, chosen, {})
    for row in rows.values():
        assert row["optimizer"]["estimated"] == row["optimizer"]["measured"]
        assert row["activations"]["within"] and row["peak"]["within"], row
    shares = {name: row["matrix_state_share"] for name, row in rows.items()}
    assert (shares[BASELINE], shares["AdamW"]) == (1.0, pytest.approx(2.0, abs=0.01))
    assert shares["8-bit Muon"] == pytest.approx((1 + 4 / 256) / 4, abs=0.001)
    assert shares["GaLore, 8-bit"] < shares["8-bit Muon"]
    kept = {name: row["activations"]["measured"] for name, row in rows.items()}
    assert kept["checkpointing, full"] < 0.5 * kept[BASELINE]
    claim = {row["technique"]: row["optimizer"] for row in report["claim"]["rows"]}
    assert (
        claim["8-bit Muon, as shipped"] < claim[BASELINE] < claim["AdamW"]
        and "26 to 12.6 GB" in report["claim"]["words"]
    )


def test_what_the_preset_is_already_has_no_row(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same = {BASELINE: (), "ternary matrices": ("model.linear=ternary",), "float matrices": ("model.linear=float",)}
    monkeypatch.setattr("nanocore.bench.memory.TECHNIQUES", same)
    report = bench_memory(preset, [], lambda _: None)
    assert [row["technique"] for row in report["rows"]] == [BASELINE, "float matrices"]
    assert report["left_out"] == {"ternary matrices": f"{preset} is so already"}


@cache
def matrix_bytes(preset: str, technique: str, *sets: str) -> int:
    """Live bytes of the optimizer state of all matrices of a preset."""
    return state_bytes(resolve(preset, [*PLAIN, *TECHNIQUES[technique], *sets]))[1]


def matrix_share(preset: str, technique: str, *sets: str) -> float:
    """Those of a technique as a share of float32 Muon's."""
    return matrix_bytes(preset, technique, *sets) / matrix_bytes(preset, BASELINE)


DENSE = quick(("tiny-cpu", "d20", "nano-125m", "small-560m", "nano-1b", "large-7b"), "d20", "nano-125m")


@pytest.mark.parametrize("preset", DENSE)
def test_the_state_of_a_whole_preset_is_so_much_smaller_than_muons(preset: str) -> None:
    assert matrix_share(preset, "8-bit Muon") <= 0.27
    assert matrix_share(preset, "8-bit Muon, dynamic", "optimizer.stochastic_rounding=true") <= 0.27
    assert matrix_share(preset, "GaLore", "galore.projector=float32", "galore.adaptive=true") <= 0.45
    assert matrix_share(preset, "GaLore, 8-bit, int4 projector") <= 0.12


def test_galore_leaves_most_of_a_preset_with_experts_as_it_is_and_its_page_says_so() -> None:
    """Stacks of experts stay in full; 8 bits code them all the same."""
    alone = matrix_share("medium-3b", "GaLore", "galore.projector=float32")
    both = matrix_share("medium-3b", "GaLore, 8-bit, int4 projector")
    page = (Path(__file__).parents[2] / "docs" / "techniques" / "galore.md").read_text()
    said = f"`medium-3b` keeps {alone:.0%} of its matrix state, and {both:.0%} with 8 bits".replace("%", " %")
    assert said in " ".join(page.split())
    assert matrix_share("medium-3b", "8-bit Muon") <= 0.27


def test_a_technique_is_named_with_how_much_of_it_there_is(preset: str) -> None:
    def told(name: str, *sets: str) -> str:
        return named(name, resolve(preset, [*TECHNIQUES[name], *sets]))

    assert told("GaLore, 8-bit") == "GaLore, 8-bit, rank 1/4"
    assert told("Collider, full", "collider.keep=0.65") == "Collider, full, keep 0.65"
    assert told("multi-token prediction") == "multi-token prediction, horizon 1"
    assert told("AdamW") == "AdamW"


def test_what_a_preset_cannot_have_is_left_out_with_the_reason(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanocore.bench.memory.TECHNIQUES", {BASELINE: (), "Collider, full": ("collider.mode=full",)})
    report = bench_memory(preset, ["moe.experts=4"], lambda _: None)
    assert [row["technique"] for row in report["rows"]] == [BASELINE]
    assert "no backward pass on kept tokens" in report["left_out"]["Collider, full"]


def test_a_preset_with_techniques_has_the_rows_of_one_without(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    techniques = tmp_path / "techniques.toml"
    sets = ("optimizer.matrices=adamw", "training.activation_checkpointing=full", "mtp.horizon=1")
    galore = ("galore.rank_fraction=0.5", "galore.projector=int4", "optimizer.state=int8")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1 << 10})())
    found = []
    for own in ((), sets, galore):
        techniques.write_text(dump(tiny_config("model.d_model=64", "model.d_ff=128", *own)))
        rows = bench_memory(str(techniques), [], lambda _: None)["rows"]
        found.append([(row["technique"], row["matrix_state_bytes"], row["activations"]) for row in rows])
    assert found[0] == found[1] == found[2]
    kept = {name: activations["estimated"] for name, _, activations in found[0]}
    assert kept["checkpointing, full"] < kept[BASELINE]
    assert resolve(CLAIM, []).training.activation_checkpointing == "full"  # as docs/benchmarks.md says of its table


@pytest.mark.parametrize("override", ["mtp.horizon=1", "optimizer.state = int8", "galore.projector=int4"])
def test_an_override_of_what_a_technique_changes_is_refused(preset: str, override: str) -> None:
    with pytest.raises(UsageError, match=r"^--set: [a-z._]+ is what the row \".+\" changes in the baseline"):
        bench_memory(preset, ["training.batch_size=2", override], lambda _: None)


def test_shares_are_of_the_first_row_whatever_it_is_called(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1 << 10})())
    monkeypatch.setattr("nanocore.bench.memory.named", lambda technique, config: f"{technique}, horizon 1")
    rows = bench_memory(preset, [], lambda _: None)["rows"]
    assert [row["matrix_state_share"] for row in rows[:2]] == [1.0, pytest.approx(2.0, abs=0.01)]


def test_what_does_not_fit_is_not_measured(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanocore.bench.memory.TECHNIQUES", {BASELINE: ()})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1 << 10})())
    (row,) = bench_memory(preset, [], lambda _: None)["rows"]
    assert (row["activations"]["measured"], row["peak"]["within"]) == (None, None)
    assert row["optimizer"]["measured"] and row["reason"].startswith("not measured: ")
