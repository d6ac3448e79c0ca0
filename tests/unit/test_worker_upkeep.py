"""The worker's verbs for runs: what they answer, and that work which nobody waits for leaves nothing half-made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest

from nanoconsole.services.upkeep import Errand, verifying
from nanocore.errors import UsageError
from nanocore.runs.layout import RunFolder, list_runs, private
from nanocore.runs.liveness import lock_owner
from nanocore.runs.pack import pack_run
from nanocore.worker import upkeep
from nanocore.worker.channel import Channel
from tests.quick import quick
from tests.tui.checkpoint_scenes import damage
from tests.whole_run import whole_run


class Leaving:
    """A console that is gone when it hears of one kind of progress."""

    def __init__(self, phase: str) -> None:
        self.answers: list[dict[str, Any]] = []
        self._phase, self._end, self._thread = phase, cast("Callable[[], None] | None", None), Thread()

    def answer(self, record: dict[str, Any]) -> None:
        self.answers.append(record)
        if record.get("phase") == self._phase and not self._thread.is_alive():
            assert self._end is not None
            self._thread = Thread(target=self._end)
            self._thread.start()

    def on_end(self, act: Callable[[], None]) -> None:
        self._end = act

    def gone(self) -> bool:
        """Whether it went, and the worker had cleared away before it was ended by force."""
        self._thread.join(upkeep.CLEARING / 2)
        return bool(self._thread.ident) and not self._thread.is_alive()


@pytest.fixture
def every(monkeypatch: pytest.MonkeyPatch) -> None:
    """All progress is told."""
    monkeypatch.setattr(upkeep, "INTERVAL", 0.0)


@pytest.mark.parametrize("phase", quick(["verifying", "reading", "writing"], "writing"))
def test_packing_that_is_ended_leaves_no_archive_and_frees_the_run(tmp_path: Path, phase: str, every: None) -> None:
    run, channel = whole_run(tmp_path / "runs"), Leaving(phase)
    upkeep.pack({"run": str(run.path), "path": str(tmp_path / "run.tar")}, cast("Channel", channel))
    assert channel.gone() and lock_owner(run) is None
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert "done" not in {record["kind"] for record in channel.answers}


@pytest.mark.parametrize("phase", quick(["unpacking", "verifying"], "verifying"))
def test_unpacking_that_is_ended_makes_no_run(tmp_path: Path, phase: str, every: None) -> None:
    packed = pack_run(whole_run(tmp_path), tmp_path / "run.tar").path
    root, channel = tmp_path / "elsewhere", Leaving(phase)
    upkeep.unpack({"root": str(root), "path": str(packed), "name": ""}, cast("Channel", channel))
    assert channel.gone() and list_runs(root) == [] and list((private(root) / "incoming").iterdir()) == []


def test_progress_counts_every_byte_once_each_way(tmp_path: Path, every: None) -> None:
    run, told = whole_run(tmp_path / "runs"), list[tuple[str, int, int]]()
    pack_run(run, tmp_path / "run.tar", lambda *each: told.append(each))
    for phase in ("reading", "writing"):
        counts = [(done, total) for doing, done, total in told if doing == phase]
        assert counts[-1][0] == counts[-1][1] > 300_000 and counts == sorted(counts)


def test_a_process_of_its_own_answers_for_each_run_and_tells_an_error(tmp_path: Path) -> None:
    runs = [whole_run(tmp_path, name) for name in ("first", "second")]
    damage(runs[1], 20)
    answers: list[Any] = []
    Errand(verifying(runs)).run(answers.append)
    findings = [answer for answer in answers if answer["kind"] == "finding"]
    assert {answer["place"] for answer in findings} == {0, 1} and answers[-1] == {"kind": "done"}
    assert [answer["part"] for answer in findings if answer["state"] == "broken"] == ["checkpoints/step-00000020"]
    gone = {"verb": "runs-pack", "run": str(runs[0].path), "path": str(tmp_path / "x.zip")}
    with pytest.raises(UsageError, match="is no name of an archive"):
        Errand(gone).run(answers.append)


def test_a_repair_in_earnest_and_a_dry_one(tmp_path: Path) -> None:
    run = whole_run(tmp_path)
    damage(run, 10)
    found = []
    for dry in (True, False, True):
        channel = Leaving("")
        upkeep.repair({"run": str(run.path), "dry": dry}, cast("Channel", channel))
        found.append([action["part"] for action in channel.answers[-1]["actions"]])
    assert found == [["checkpoints/step-00000010"], ["checkpoints/step-00000010"], []]
    assert not RunFolder(run.path).checkpoints_dir.joinpath("step-00000010").exists()
