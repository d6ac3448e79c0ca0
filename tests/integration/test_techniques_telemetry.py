"""What techniques write beside the loss, in the real trainer: true, complete, and without a trace in the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from nanocore.checkpoint.manifest import latest
from nanocore.runs.layout import RunFolder
from nanocore.runs.metrics import find_metric
from nanocore.runs.records import read_all
from nanocore.train.step import StepResult
from nanocore.train.window import Window
from tests.techniques import FULL_FILTER, HEAD_FILTER, MOE, SMALL
from tests.tiny import new_run, tiny_config, train

OBJECTIVE = ("objective.label_smoothing=0.1", "objective.z_loss=0.01", "objective.entropy_bonus=0.05")
MTP = ("mtp.horizon=2", "mtp.weight=0.5", "mtp.final_weight=0.1")
BALANCE = (*MOE, "moe.balance=loss", "moe.loss_weight=0.3")
STEPS = 4


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def one_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(shared_cache))


def trained(root: Path, *sets: str, name: str = "run") -> RunFolder:
    run = new_run(root, *SMALL, f"training.steps={STEPS}", *sets, name=name)
    assert train(run) == 0
    return run


def rows(run: RunFolder) -> list[dict[str, Any]]:
    return [record for record in read_all(run.metrics_file) if "loss/ce" in record]


def weights(run: RunFolder) -> dict[str, bytes]:
    path = latest(run.checkpoints_dir)
    assert path is not None
    found = {**load_file(path / "model.safetensors"), **load_file(path / "optim.safetensors")}
    return {name: tensor.numpy().tobytes() for name, tensor in found.items()}


@pytest.mark.parametrize(
    ("sets", "base"),
    [
        ((), "loss/ce"),
        ((*OBJECTIVE, *MTP, *BALANCE), "loss/ce"),
        ((*OBJECTIVE, *MTP, *BALANCE, *HEAD_FILTER, "collider.cosine_every=2"), "loss/kept"),
        pytest.param((*OBJECTIVE, *MTP, *FULL_FILTER), "loss/kept", marks=pytest.mark.slow),
        ((*OBJECTIVE, *MTP, *BALANCE, "loop.count=2", "loop.entropy_weight=0.2"), "loss/expected"),
    ],
    ids=["plain", "terms", "head", "full", "loop"],
)
@pytest.mark.parametrize("accumulation", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_total_is_the_sum_of_its_parts(sets: tuple[str, ...], base: str, accumulation: int, tmp_path: Path) -> None:
    run = trained(tmp_path, *sets, f"training.accumulation={accumulation}")
    config = tiny_config(*SMALL, f"training.steps={STEPS}", *sets)
    for row in rows(run):
        assert all(find_metric(key) for key in row if "/" in key)
        assert row["loss/total"] == pytest.approx(expected_total(row, base, config), rel=1e-5)


def expected_total(row: dict[str, Any], base: str, config: Any) -> float:
    """The terms of a metrics record with their weights; `loss/expected` contains what regularisers add to each turn."""
    done = (row["step"] - 1) / STEPS
    total = row[base] + (config.mtp.weight + (config.mtp.final_weight - config.mtp.weight) * done) * row.get(
        "loss/mtp", 0
    )
    total += config.moe.loss_weight * row.get("loss/balance", 0.0)
    if base == "loss/expected":
        return total - config.loop.entropy_weight * row["loop/exit_entropy"]
    return total + sum(row.get(f"loss/{name}", 0.0) for name in ("smoothing", "z", "entropy_bonus"))


@pytest.mark.parametrize(
    "sets",
    [
        pytest.param((*OBJECTIVE, *MTP, *HEAD_FILTER), id="terms+head"),
        pytest.param(HEAD_FILTER, id="head", marks=pytest.mark.slow),
        pytest.param(("loop.count=2",), id="loop", marks=pytest.mark.slow),
    ],
)
def test_loss_is_plain_cross_entropy_whatever_is_minimised_and_however_it_is_split(
    sets: tuple[str, ...], tmp_path: Path
) -> None:
    one = rows(trained(tmp_path, *sets, name="one"))[0]
    two = rows(trained(tmp_path, *sets, "training.accumulation=2", name="two"))[0]
    facts = {key for key in one if key.split("/")[0] in ("loss", "collider", "loop") or key == "training/entropy"}
    assert {key: two[key] for key in facts} == pytest.approx({key: one[key] for key in facts}, rel=1e-6)
    if "loop.count=2" not in sets:  # there it is the last turn's
        plain = rows(trained(tmp_path, name="plain"))[0]
        assert one["loss/ce"] == plain["loss/ce"] != one["loss/total"]


def test_the_kept_fraction_is_what_was_asked_for_and_starts_when_asked(tmp_path: Path) -> None:
    run = trained(tmp_path, *HEAD_FILTER, "collider.start_step=2", "logging.every=4")
    (row,) = rows(run)
    assert row["collider/kept_fraction"] == pytest.approx(0.5, abs=1 / 64)  # of the two steps that filtered
    assert row["collider/importance_p10"] < row["collider/importance_p50"] < row["collider/importance_p90"]


def test_a_part_is_averaged_over_the_steps_that_had_it() -> None:
    window = Window()
    for parts in ({}, {"loss/kept": 2.0}, {"loss/kept": 4.0}):
        window.add(StepResult(10, 1.0, 0.0, 0.0, 0.0, True, {}, parts), 10)
    assert window.values()["loss/kept"] == 3.0


def test_expert_loads_stand_beside_the_other_layers(tmp_path: Path) -> None:
    run = trained(tmp_path, *MOE, "logging.layers_every=2", "mhc.streams=2", "training.accumulation=2")
    found = [record for record in read_all(run.layers_file) if record["kind"] == "moe"]
    assert [record["step"] for record in found] == [1, 1, 2, 2, 4, 4]
    assert {record["name"] for record in found} == {f"blocks.{layer}.feed_forward.router" for layer in (0, 1)}
    assert all(sum(record["fractions"]) == pytest.approx(1.0) for record in found)
    by_step = {row["step"]: row["moe/max_violation"] for row in rows(run)}
    assert max(record["max_violation"] for record in found[:2]) == by_step[1]


@pytest.mark.parametrize(
    "sets",
    [
        pytest.param((*HEAD_FILTER, *BALANCE, "fp4.format=nvfp4", "mtp.horizon=1"), id="head+moe-loss+fp4"),
        pytest.param(
            (*HEAD_FILTER, *MOE, "moe.bias_rate=0.1", "optimizer.state=int8", "optimizer.stochastic_rounding=true"),
            id="head+moe-bias+int8",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            (*FULL_FILTER, "mhc.streams=2", "training.accumulation=2", "galore.rank_fraction=0.25"),
            id="full+galore",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_measuring_the_gradient_cosine_leaves_no_trace(sets: tuple[str, ...], tmp_path: Path) -> None:
    without = trained(tmp_path, *sets, name="without")
    measured = trained(tmp_path, *sets, "collider.cosine_every=2", name="measured")
    assert weights(measured) == weights(without)
    cosines = {row["step"]: row.pop("collider/gradient_cosine", None) for row in rows(measured)}
    assert [step for step, cosine in cosines.items() if cosine is not None] == [2, 4]
    assert all(0.1 < cosine < 0.999 for cosine in cosines.values() if cosine is not None)
    same = ("loss/", "collider/kept", "moe/", "training/")
    for one, other in zip(rows(without), rows(measured), strict=True):
        assert all(other[key] == value for key, value in one.items() if key.startswith(same))


@pytest.mark.slow
def test_the_cosine_is_one_when_every_token_is_kept(tmp_path: Path) -> None:
    run = trained(tmp_path, "collider.mode=head", "collider.keep=1.0", "collider.cosine_every=2")
    assert rows(run)[1]["collider/gradient_cosine"] == pytest.approx(1.0, abs=1e-6)


def test_streams_are_measured_in_full_precision_where_training_is_not(tmp_path: Path) -> None:
    """A product of doubly stochastic maps has row sums 1; bfloat16 would round it to two digits."""
    run = trained(tmp_path, "mhc.streams=4", "mhc.dynamic=true", "mhc.init=balanced", "hardware.dtype=bfloat16")
    assert rows(run)[0]["mhc/composite_gain"] == pytest.approx(1.0, abs=1e-5)


def test_every_matrix_tells_its_gradient_and_update_and_no_bit_of_the_training_changes(tmp_path: Path) -> None:
    often = trained(tmp_path, "logging.layers_every=1", "optimizer.grad_clip=0.05", name="often")
    seldom = trained(tmp_path, "logging.layers_every=1000", "optimizer.grad_clip=0.05", name="seldom")
    assert weights(often) == weights(seldom)
    found = [record for record in read_all(often.layers_file) if record["kind"] == "matrix"]
    names = [record["name"] for record in found if record["step"] == 2]
    assert len(found) == len(names) * STEPS and "blocks.0.attention.query.weight" in names
    norms = {row["step"]: row["training/grad_norm"] for row in rows(often)}
    for step in range(1, STEPS + 1):
        squares = sum(record["gradient_norm"] ** 2 for record in found if record["step"] == step)
        assert 0.9 * norms[step] < squares**0.5 <= norms[step] * 1.00001  # norms and maps have gradients too
    assert all(record["update_ratio"] > 0.0 for record in found)


@pytest.mark.parametrize("stage", ["joint", pytest.param("gate", marks=pytest.mark.slow)])
def test_the_exits_of_a_loop_are_told_turn_by_turn(stage: str, tmp_path: Path) -> None:
    sets = ("loop.count=3", f"loop.stage={stage}", "logging.layers_every=1", "training.accumulation=2")
    run = trained(tmp_path, *sets)
    found = [record for record in read_all(run.layers_file) if record["kind"] == "exits"]
    first = {record["name"]: record["probability"] for record in found if record["step"] == 1}
    assert first == {"turn 1": pytest.approx(0.5), "turn 2": pytest.approx(0.25), "turn 3": pytest.approx(0.25)}
    for row in rows(run):
        chances = [row[f"loop/exit_probability/{turn}"] for turn in (1, 2, 3)]
        assert sum(chances) == pytest.approx(1.0)
        assert sum(turn * chance for turn, chance in enumerate(chances, 1)) == pytest.approx(row["loop/mean_turns"])
