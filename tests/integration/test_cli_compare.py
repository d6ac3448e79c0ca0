"""`queue` and `compare` from the command line, with real processes that train nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from nanocore.runs import queue
from nanocore.runs.create import read_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from tests import command_line, queue_helpers
from tests.command_line import Nano
from tests.queue_helpers import drained, states
from tests.run_helpers import events_of, steps_of, wait_for

nano, root = command_line.nano, queue_helpers.root
SPEC = """
preset = "tiny-cpu"
steps = 30
seeds = [1, 3]
[variants.mtp]
sets = ["mtp.horizon=2"]
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAKE_TRAINER", "tests.fake_measures")
    monkeypatch.setenv("FAKE_STEP_SECONDS", "0.0005")
    monkeypatch.setenv("FAKE_CHECKPOINT_EVERY", "1000")
    path = tmp_path / "look.toml"
    path.write_text(SPEC)
    return path


def one_seed(spec: Path) -> None:
    spec.write_text(SPEC.replace("[1, 3]", "[2]"))


def test_a_comparison_from_its_file_to_its_report(nano: Nano, root: Path, spec: Path) -> None:
    done = nano("compare", str(spec), "--json")
    assert done.code == 0, done.err
    steps = {row["variant"]: row for row in done.data["equal_steps"]}
    time = {row["variant"]: row for row in done.data["equal_time"]}
    assert steps["mtp"]["difference"]["mean"] == pytest.approx(-0.5)
    assert time["mtp"]["difference"]["mean"] == pytest.approx(-0.47)
    assert (steps["mtp"]["verdict"], steps["power-check"]["verdict"], done.data["power"]) == ("better", "worse", True)
    assert (steps["mtp"]["steps"], time["mtp"]["steps"]) == (30, 15)  # MTP's steps take twice as long
    assert len(steps_of(RunFolder(root / "look-mtp-s1-time"))) == 15
    tag = read_run(RunFolder(root / "look-mtp-s3"))["experiment"]
    assert tag == {"name": "look", "variant": "mtp", "seed": 3, "kind": "steps"}
    drained(root)
    again = nano("compare", str(spec), "--report-only")
    assert "| power-check" in again.out
    assert nano("compare", str(spec)).code == 2  # its runs are there
    kept = nano("compare", str(spec), "--continue", "--detach", "--json")
    assert kept.data == {"experiment": "look", "queued": []}


@pytest.mark.slow
def test_a_variant_that_takes_the_baselines_time_is_not_trained_again(
    nano: Nano, root: Path, spec: Path, tmp_path: Path
) -> None:
    one_seed(spec)
    spec.write_text(
        "time_tolerance = 0.03\n" + spec.read_text() + '[variants.free]\nsets = ["objective.z_loss=0.001"]\n'
    )
    done = nano("compare", str(spec), "--json", "--out", str(tmp_path / "out"))
    assert (done.code, done.data["complete"]) == (0, True), done.err
    time = {row["variant"]: row for row in done.data["equal_time"]}
    assert (time["free"]["as_at_steps"], time["free"]["steps"], time["mtp"]["steps"]) == (True, 30, 15)
    spared = RunFolder(root / "look-free-s2-time")
    assert (observe(spared).state, steps_of(spared)) == ("stopped", [])
    assert "a step takes 1.000 [1.000, 1.000] of the baseline's time" in observe(spared).reason
    names = ["REPORT.md", "report.html", "report.json", "runs.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    drained(root)
    again = nano("compare", str(spec), "--continue", "--json")
    assert again.code == 0 and steps_of(spared) == []


def test_bench_e3_is_an_experiment_like_any_other(nano: Nano, root: Path, spec: Path, tmp_path: Path) -> None:
    asked = ("bench", "e3", "--quick", "--only", "mtp", "--steps", "30")
    done = nano(*asked, "--json", "--out", str(tmp_path / "out"))
    assert done.code == 0, done.err
    assert [run["run"] for run in done.data["runs"]].count("e3-quick-mtp-s1") == 1 and len(done.data["runs"]) == 3
    assert read_run(RunFolder(root / "e3-quick-mtp-s1"))["experiment"]["name"] == "e3-quick"
    assert {claim["variant"] for claim in done.data["claims"]} == {"mtp"}
    assert (done.data["bench"], done.data["command"][3:7]) == ("compare", ["bench", "e3", "--quick", "--only"])
    assert "Beside what is claimed" in (tmp_path / "out" / "REPORT.md").read_text()
    assert nano(*asked).code == 2  # its runs are there
    drained(root)
    assert nano(*asked, "--continue", "--detach", "--json").data == {"experiment": "e3-quick", "queued": []}


def test_a_killed_comparison_goes_on_with_what_is_left(
    nano: Nano, root: Path, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_seed(spec)
    monkeypatch.setenv("FAKE_FAULT", "suspend@20")  # behind the end of a calibration
    started = nano("compare", str(spec), "--detach", "--json")
    assert (started.code, len(started.data["queued"])) == (0, 5)
    wait_for(lambda: len(queue.read_queue(root).pending("running")) == 2 and _suspended(root) == 2)
    for pid in (queue.supervisor_pid(root), *(observe(run).pid for run in _working(root))):
        assert pid
        os.kill(pid, signal.SIGKILL)
    finished = [name for name, state in states(root).items() if state == "finished"]
    wait_for(lambda: queue.supervisor_pid(root) is None and not any(observe(run).alive for run in _working(root)))
    waiting = nano("compare", str(spec), "--report-only")
    assert (waiting.code, "NOT COMPLETE" in waiting.out) == (0, True)
    monkeypatch.setenv("FAKE_FAULT", "@0")
    cancelled = queue.read_queue(root).pending("waiting")[0].run
    queue.cancel(root, cancelled)
    nano("compare", str(spec), "--continue")  # those killed are recorded as failed, or begun again
    done = nano("compare", str(spec), "--continue", "--json")
    assert (done.code, done.data["complete"]) == (0, True), done.err
    for name in finished:
        assert len(events_of(RunFolder(root / name), "started")) == 1
    assert all(run["state"] == "finished" for run in done.data["runs"])


def _working(root: Path) -> list[RunFolder]:
    return [RunFolder(root / entry.run) for entry in queue.read_queue(root).pending("running")]


def _suspended(root: Path) -> int:
    pids = [observe(run).pid for run in _working(root)]
    found = [Path(f"/proc/{pid}/stat") for pid in pids]
    return sum(path.exists() and " T " in path.read_text() for path in found)


def test_a_changed_file_never_mixes_with_the_runs_of_the_old_one(
    nano: Nano, root: Path, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_seed(spec)
    monkeypatch.setattr(queue, "wake", lambda *_, **__: False)  # nothing needs to be trained
    nowhere = nano("compare", str(spec), "--detach", "--out", str(spec / "report"))
    assert (nowhere.code, "cannot be made" in nowhere.err, list(root.glob("look-*"))) == (6, True, [])
    assert nano("compare", str(spec), "--detach").code == 0
    spec.write_text(spec.read_text().replace("mtp.horizon=2", "mtp.horizon=3"))
    changed = nano("compare", str(spec), "--continue", "--detach")
    assert (changed.code, "mtp.horizon 2 -> 3" in changed.err) == (2, True)
    spec.write_text(spec.read_text().replace("mtp.horizon=3", "mtp.horizon=2").replace("steps = 30", "steps = 31"))
    assert "training.steps 30 -> 31" in nano("compare", str(spec), "--continue", "--detach").err
    spec.write_text("preset = 1")
    refused = nano("compare", str(spec), "--json")
    assert (refused.code, refused.out) == (2, "")


def test_a_failed_run_gives_an_exit_code_and_a_line(
    nano: Nano, root: Path, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_seed(spec)
    spec.write_text('equal = ["steps"]\n' + spec.read_text())
    monkeypatch.setenv("FAKE_FAULT", "exit@7")
    failed = nano("compare", str(spec))
    assert failed.code == 1
    assert "- look-mtp-s2: crashed: it ended with exit code 7 (step 6 of 30)" in failed.out


def test_the_queue_from_the_command_line(nano: Nano, root: Path) -> None:
    assert "the queue is empty" in nano("queue", "list").err
    forever = ("--set", "training.steps=1000000")
    assert nano("queue", "add", "tiny-cpu", *forever).out == "tiny-cpu-0001\n"
    wait_for(lambda: states(root) == {"tiny-cpu-0001": "running"})
    for name in ("one", "two"):
        assert nano("queue", "add", "tiny-cpu", "--name", name, *forever, "--json").data["run"] == name
    assert nano("queue", "move", "two", "1", "--json").data == {"waiting": ["two", "one"]}
    listed = nano("queue", "list", "--json").data
    assert [(entry["run"], entry["state"]) for entry in listed["entries"]] == [
        ("tiny-cpu-0001", "running"), ("two", "waiting"), ("one", "waiting"),
    ]  # fmt: skip
    assert listed["supervisor"]
    shown = nano("queue", "list").out.splitlines()
    assert [line.split()[:3] for line in shown[1:]] == [
        ["tiny-cpu-0001", "running", "–"],
        ["two", "waiting", "1"],
        ["one", "waiting", "2"],
    ]
    assert nano("queue", "move", "tiny-cpu-0001", "1").code == 2
    assert nano("queue", "cancel", "nothing").code == 2
    killed = queue.supervisor_pid(root)
    assert killed
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: queue.supervisor_pid(root) is None)
    nano("queue", "list")  # any later command starts it again
    wait_for(lambda: queue.supervisor_pid(root) not in (None, killed))
    for name in ("two", "one", "tiny-cpu-0001"):
        assert nano("queue", "cancel", name).code == 0
    drained(root)
    assert nano("queue", "start", "--json").data == {"started": False, "pending": 0}
