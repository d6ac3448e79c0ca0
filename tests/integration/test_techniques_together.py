"""Many techniques at once in the real trainer, where it costs a start of its own: compiled, and on two processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import latest
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import read_all
from tests.techniques import GALORE, HEAD_FILTER, MOE, SMALL
from tests.tiny import new_run, train, train_apart

pytestmark = pytest.mark.slow
GENTLE = ("optimizer.matrix_lr=0.001", "optimizer.embedding_lr=0.001", "optimizer.scalar_lr=0.001")
TERMS = ("mtp.horizon=2", *HEAD_FILTER, "objective.label_smoothing=0.1", "objective.z_loss=0.01")
SINK = (
    *TERMS, *GALORE, *MOE, "moe.balance=loss", "optimizer.state=int8", "optimizer.stochastic_rounding=true",
    "collider.cosine_every=3", "fire.at_step=3", "mhc.streams=2", "mhc.dynamic=true", "mhc.every=3", "delta.pattern=DA",
    "delta.chunk=4", "training.accumulation=2", "training.activation_checkpointing=selective", "checkpoint.every=4",
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


def rows(run: RunFolder) -> list[dict[str, float]]:
    return [record for record in read_all(run.metrics_file) if "loss/ce" in record]


def check_curve(run: RunFolder, expected: RunFolder, keys: tuple[str, ...]) -> None:
    found = [[row[key] for key in keys] for row in rows(run)]
    assert len(found) == 8
    for mine, other in zip(found, rows(expected), strict=True):
        assert mine == pytest.approx([other[key] for key in keys], rel=1e-3)


@pytest.mark.timeout(400)  # the compiler alone takes a minute
def test_a_compiled_run_with_objective_terms_gives_the_curve_of_the_plain_one(tmp_path: Path) -> None:
    sets = (*SMALL, *TERMS, *GENTLE, "data.isolate_documents=false")  # one graph
    eager, compiled = (
        new_run(tmp_path, *sets, f"hardware.compile={on}", name=f"compile-{on}") for on in ("false", "true")
    )
    assert train(eager) == train(compiled) == 0
    check_curve(compiled, eager, ("loss/ce", "loss/total", "loss/mtp", "loss/kept", "loss/smoothing", "loss/z"))


def test_two_processes_with_everything_at_once_give_the_curve_of_one(tmp_path: Path) -> None:
    one, two = (new_run(tmp_path, *SMALL, *SINK, *GENTLE, name=name) for name in ("one", "two"))
    assert train(one) == 0
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    done = train_apart(two, *launcher)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    check_curve(two, one, ("loss/ce", "loss/total", "loss/mtp", "loss/kept", "loss/balance", "moe/load_entropy"))
    cosines = [
        [row["collider/gradient_cosine"] for row in rows(run) if "collider/gradient_cosine" in row]
        for run in (one, two)
    ]
    assert cosines[1] == pytest.approx(cosines[0], rel=1e-2) and len(cosines[0]) == 2
    events = [record for record in read_all(two.events_file) if record["kind"] == "fire"]
    assert [event["step"] for event in events] == [3] * len(events) and events
    assert latest(two.checkpoints_dir) is not None
