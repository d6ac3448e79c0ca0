"""A run interrupted anywhere equals one that never stopped: every technique and preset, after every step, inside a step."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import available, step_of
from nanocore.config.presets import presets
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.data.prepare import prepare
from nanocore.data.stream import epoch_order
from nanocore.optim.schedule import phase
from nanocore.runs.create import create_run
from nanocore.runs.layout import RunFolder, cache_root
from nanocore.train import loop
from nanocore.train.job import Job
from tests.forked import start_real
from tests.quick import quick
from tests.reduced import reduced
from tests.run_helpers import exit_code
from tests.state_of import state_of
from tests.techniques import CASES, SMALL
from tests.tiny import tiny_config, train

STEPS, BATCH, WIDTH = 8, 4, 16
HARD = ("data.workers=2", "data.prefetch=3", "training.accumulation=2", "schedule.decay_fraction=0.4")
QUICK = ("galore-int8-int4", "moe+delta+mhc4+int8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("everywhere")


@pytest.fixture(autouse=True)
def one_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(folder / "cache"))


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    """`--set` of a source of 205 tokens."""
    (folder / "text").mkdir()
    for number in range(8):
        (folder / "text" / f"{number}.txt").write_text(f"{number}The quick brown fox. The quick brown fox. "[:40])
    return f'data.sources=[{{kind="files", paths=["{folder}/text/*.txt"]}}]'


def hard_config(text: str, *sets: str) -> Config:
    """A small run with threads ahead, micro-batches, epochs that end, and a decay."""
    return tiny_config(*SMALL, *HARD, text, "data.validation_fraction=0.4", f"training.batch_size={BATCH}", *sets)


def whole(folder: Path, config: Config, name: str) -> RunFolder:
    """The run that nothing interrupts."""
    run = create_run(folder, config, name=f"{name}-whole")
    assert train(run) == 0, run.log_file
    return run


def after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every attempt stop after one step."""

    def stop(job: Job) -> None:
        job.orders.stop = job.progress.step < job.horizon.steps

    monkeypatch.setattr(loop, "take_orders", stop)


def piecewise(folder: Path, config: Config, name: str, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """The same run in one attempt for each step."""
    run = create_run(folder, config, name=f"{name}-pieces")
    with monkeypatch.context() as patch:
        after_every_step(patch)
        for _ in range(config.training.steps):
            assert train(run) == 0, run.log_file
    return run


def named(names: list[str], quick: tuple[str, ...]) -> Iterator[object]:
    for name in names:
        yield pytest.param(name, marks=[pytest.mark.slow] * (name not in quick))


def test_the_positions_are_those_that_matter(text: str) -> None:
    config = hard_config(text)
    tokens = len(prepare(config.data, cache=cache_root(), progress=lambda *_: None).train[0].tokens)
    first, second = (len(epoch_order(tokens, WIDTH, [config.training.seed, 0, epoch])) for epoch in (0, 1))
    assert (first % BATCH, second % BATCH) == (0, 3)  # one epoch ends with a batch, the next inside one
    assert first // BATCH < STEPS and (first + second) // BATCH < STEPS
    assert {phase(config.schedule, step, STEPS) for step in range(STEPS)} == {"warmup", "stable", "decay"}


@pytest.mark.parametrize("name", named(list(CASES), QUICK))
def test_a_run_stopped_after_every_step_equals_one_that_never_stopped(
    name: str, folder: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, plain = hard_config(text, *CASES[name]), name.replace("+", "-")
    expected = state_of(whole(folder, config, plain))
    assert state_of(piecewise(folder, config, plain, monkeypatch)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", [preset.name for preset in presets()])
def test_so_does_every_preset(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = reduced(resolve(name), 5)
    expected = state_of(whole(folder, config, f"preset-{name}"))
    assert state_of(piecewise(folder, config, f"preset-{name}", monkeypatch)) == expected


@pytest.mark.parametrize(
    "point",
    [
        "train.micro:11",
        pytest.param("train.micro:12", marks=pytest.mark.slow),
        pytest.param("checkpoint.flushed:2", marks=pytest.mark.slow),
        pytest.param("checkpoint.rename:2", marks=pytest.mark.slow),
        pytest.param("checkpoint.renamed:2", marks=pytest.mark.slow),
    ],
)
def test_a_kill_inside_accumulation_or_a_save_costs_steps_and_changes_nothing(
    point: str, folder: Path, text: str
) -> None:
    config = hard_config(text, "checkpoint.every=3", "data.workers=2")
    expected = state_of(whole(folder, config, point.replace(":", "-")))
    run = create_run(folder, config, name=f"killed-{point.replace(':', '-')}")
    assert exit_code(start_real(run, fail=point)) == -signal.SIGKILL, run.log_file.read_text()
    assert [step_of(path) for path in available(run.checkpoints_dir)] == (
        [3, 6] if point.endswith("renamed:2") else [3]
    )
    assert train(run) == 0
    assert state_of(run) == expected


@pytest.mark.parametrize("part", quick(("measure", "write_sample"), "measure"))
def test_a_kill_in_the_last_evaluation_or_sample_costs_neither(
    part: str, folder: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = hard_config(text)
    expected = state_of(whole(folder, config, f"last-{part}".replace("_", "-")))
    run = create_run(folder, config, name=f"last-killed-{part}".replace("_", "-"))

    def kill(_: Job, **__: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def prepare() -> None:
        monkeypatch.setattr(f"nanocore.train.measure.{part}", kill)

    assert exit_code(start_real(run, prepare=prepare)) == -signal.SIGKILL
    assert not run.sample_file(STEPS).exists()
    for _ in range(2):  # the second finds nothing left to do
        assert train(run) == 0
        assert state_of(run) == expected
        assert run.sample_file(STEPS).exists()
