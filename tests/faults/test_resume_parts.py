"""Every part of a checkpoint is needed: a resume that has lost one of them does not equal the run that lost nothing.

So the tests that find resumed and uninterrupted runs equal can fail. Random draws have no state of their own: they are
made from the seed and the step, so what stands for them here is the step.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from nanocore.checkpoint.manifest import commit, latest, step_folder, verify
from nanocore.config.toml import save
from nanocore.runs.layout import RunFolder
from nanocore.train import loop
from nanocore.train.job import Job
from tests.state_of import state_of
from tests.techniques import GALORE, MOE, SMALL
from tests.tiny import new_run, tiny_config, train

MIDDLE, END = 6, 8
EVERYTHING = (
    *SMALL, "mhc.streams=2", "mhc.dynamic=true", "loop.count=2", *MOE, "moe.bias_rate=0.05", "optimizer.state=int8-dynamic",
    *GALORE, "galore.projector=int8", "checkpoint.every=2", "training.on_nonfinite=skip",
)  # fmt: skip
QUICK = (
    "progress.tokens",
    "progress.horizon",
    "progress.loader.row",
    "progress.spikes",
    "progress.rollbacks",
    "corpus",
)
PLANNED = ("training.steps=0", "training.duration=1000h")  # its number of steps is known from the checkpoint alone
COUNTERS = {"horizon": END, "duration": "1000h", "rollbacks": 2, "rolled_to": 3, "elapsed": 5000.0}

State = dict[str, Any]
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(autouse=True)
def one_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(folder / "cache"))


@pytest.fixture(autouse=True)
def an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that does not know its end is stopped there."""
    true_orders = loop.take_orders

    def end(job: Job) -> None:
        true_orders(job)
        job.orders.stop = job.orders.stop or job.progress.step >= END

    monkeypatch.setattr(loop, "take_orders", end)


@pytest.fixture(scope="module")
def origin(folder: Path) -> RunFolder:
    """A run at its middle, whose counters all have values of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NANOCONSOLE_CACHE", str(folder / "cache"))
        run = new_run(folder, *EVERYTHING, name="origin")
        assert train(run) == 0
    shutil.rmtree(step_folder(run.checkpoints_dir, END))
    config = tiny_config(*EVERYTHING, *PLANNED)
    save(config, run.config_file)

    def change(path: Path) -> None:
        with editing_state(path) as state:
            state["progress"] |= COUNTERS
            state["config"] = config.model_dump()

    altered(run, change)
    return run


class editing_state:
    """The trainer's part of state.json in a checkpoint, written back at the end."""

    def __init__(self, checkpoint: Path) -> None:
        self._path = checkpoint / "state.json"
        self._document = json.loads(self._path.read_text())

    def __enter__(self) -> State:
        return self._document["state"]

    def __exit__(self, *_: object) -> None:
        self._path.write_text(json.dumps(self._document))


def altered(run: RunFolder, change: Change) -> None:
    """Change the newest checkpoint and seal it again, as if the trainer had written it so."""
    path = latest(run.checkpoints_dir)
    assert path is not None

    def build(folder: Path) -> None:
        for file in path.iterdir():
            if file.name != "manifest.json":
                shutil.copyfile(file, folder / file.name)
        change(folder)

    commit(build, path, {"step": MIDDLE})
    assert verify(path) == []


def resumed(origin: RunFolder, change: Change) -> object:
    """What a copy of the run comes to after a change to its checkpoint: its state, or the exit code of a refusal."""
    copy = RunFolder(origin.path.with_name("copy"))
    shutil.rmtree(copy.path, ignore_errors=True)
    shutil.copytree(origin.path, copy.path)
    altered(copy, change)
    code = train(copy)
    if code:
        return code
    elapsed = json.loads((step_folder(copy.checkpoints_dir, END) / "state.json").read_text())["state"]["progress"][
        "elapsed"
    ]
    return state_of(copy), elapsed >= COUNTERS["elapsed"]


@pytest.fixture(scope="module")
def expected(origin: RunFolder) -> list[object]:
    """What the run comes to with its checkpoint as it is; filled by the first who asks."""
    return []


def same(origin: RunFolder, expected: list[object], change: Change) -> bool:
    if not expected:
        expected.append(resumed(origin, lambda _: None))
    return resumed(origin, change) == expected[0]


def dropped(*keys: str | int) -> Change:
    """Without one entry of the trainer's state; a position, which cannot be absent, goes back to 0."""

    def change(path: Path) -> None:
        with editing_state(path) as state:
            holder: Any = state
            *outer, last = keys
            for key in outer:
                holder = holder[key]
            if last == "row":
                holder[last] = 0
            else:
                del holder[last]

    return change


PARTS = {
    "progress.step": dropped("progress", "step"),
    "progress.tokens": dropped("progress", "tokens"),
    "progress.elapsed": dropped("progress", "elapsed"),
    "progress.horizon": dropped("progress", "horizon"),
    "progress.duration": dropped("progress", "duration"),
    "progress.loader": dropped("progress", "loader"),
    "progress.loader.row": dropped("progress", "loader", "mixture", "sources", 0, "row"),
    "progress.spikes": dropped("progress", "spikes"),
    "progress.spikes.losses": dropped("progress", "spikes", "losses"),
    "progress.spikes.norms": dropped("progress", "spikes", "norms"),
    "progress.rollbacks": dropped("progress", "rollbacks"),
    "progress.rolled_to": dropped("progress", "rolled_to"),
    "config": dropped("config"),
    "corpus": dropped("corpus"),
    "machine": dropped("machine"),
}


def test_a_checkpoint_holds_no_part_that_is_not_tested_here(origin: RunFolder) -> None:
    path = latest(origin.checkpoints_dir)
    assert path is not None
    with editing_state(path) as state:
        named = {f"progress.{key}" for key in state["progress"]} | (set(state) - {"progress"})
    assert named <= {*PARTS, "progress.skipped"}


def test_nothing_lost_is_nothing_changed(origin: RunFolder, expected: list[object]) -> None:
    assert same(origin, expected, lambda _: None)


def test_a_lost_count_of_updates_left_out_is_noticed(origin: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step after the resume is not finite: the tenth in a row that is left out ends the run."""
    true_passes, met = loop.passes, []

    def poisoned(*arguments: Any) -> Any:
        found = true_passes(*arguments)
        met.append(1)
        return replace(found, ce=float("nan"), applied=False) if len(met) == 1 else found

    def counted(path: Path) -> None:
        with editing_state(path) as state:
            state["progress"]["skipped"] = 9

    monkeypatch.setattr(loop, "passes", poisoned)
    assert resumed(origin, counted) == 4
    met.clear()
    assert resumed(origin, lambda _: None) != 4


@pytest.mark.parametrize("part", [pytest.param(part, marks=[pytest.mark.slow] * (part not in QUICK)) for part in PARTS])
def test_a_lost_part_of_the_state_is_noticed(part: str, origin: RunFolder, expected: list[object]) -> None:
    assert not same(origin, expected, PARTS[part])


def families(file: str) -> Callable[[RunFolder], dict[str, str]]:
    """One tensor that is not all zeros for each kind of name, layers and experts aside."""

    def find(origin: RunFolder) -> dict[str, str]:
        path = latest(origin.checkpoints_dir)
        assert path is not None
        names = [name for name, tensor in load_file(path / file).items() if bool(tensor.any())]
        return {".".join(part for part in name.split(".") if not part.isdecimal()): name for name in reversed(names)}

    return find


def without(file: str, name: str) -> Change:
    def change(path: Path) -> None:
        tensors = load_file(path / file)
        tensors[name].zero_()
        save_file(tensors, path / file)

    return change


@pytest.mark.slow
def test_a_lost_optimizer_state_is_noticed_whatever_slot_it_is(origin: RunFolder, expected: list[object]) -> None:
    slots = {kind.rpartition(".")[2]: name for kind, name in families("optim.safetensors")(origin).items()}
    assert len(slots) >= 6, slots
    for name in slots.values():
        assert not same(origin, expected, without("optim.safetensors", name)), name


@pytest.mark.slow
@pytest.mark.parametrize("file", ["model.safetensors", "optim.safetensors"])
def test_a_lost_tensor_of_any_family_is_noticed(file: str, origin: RunFolder, expected: list[object]) -> None:
    for name in families(file)(origin).values():
        assert not same(origin, expected, without(file, name)), name


def test_an_absent_tensor_is_refused(origin: RunFolder) -> None:
    def change(path: Path) -> None:
        tensors = load_file(path / "optim.safetensors")
        tensors.pop(min(tensors))
        save_file(tensors, path / "optim.safetensors")

    assert resumed(origin, change) == 5
