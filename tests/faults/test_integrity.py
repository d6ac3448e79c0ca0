"""`runs verify` finds what is not as it was written; `runs repair` puts it right, and never at the cost of what is good."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import commit, latest, step_folder
from nanocore.config.toml import dump
from nanocore.config.validate import build
from nanocore.errors import BusyError
from nanocore.runs.integrity import verify_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import acquire, observe
from nanocore.runs.records import RecordWriter
from nanocore.runs.repair import repair
from nanocore.runs.temporaries import OLD
from nanocore.runs.trash import trash_dir
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import make_run, status_of
from tests.tui.checkpoint_scenes import damage, save
from tests.whole_run import contents, whole_run

nano = command_line.nano


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that no test changes."""
    return whole_run(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def run(sound: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(sound.path, tmp_path / "runs" / sound.name))


def states(run: RunFolder) -> dict[str, str]:
    return {finding.part: finding.state for finding in verify_run(run)}


def test_every_part_of_a_sound_run_is_whole(run: RunFolder) -> None:
    before = contents(run)
    found = states(run)
    assert set(found.values()) == {"whole"}
    assert {"run.json", "config.toml", "status.json", "notes.toml", "metrics.jsonl", "events.jsonl"} < found.keys()
    assert {"checkpoints/step-00000010", "exports/maps.mhc"} < found.keys()
    assert contents(run) == before


BREAK = {
    "run.json": lambda run: run.run_file.write_text("{"),
    "config.toml": lambda run: run.config_file.write_text("[model]\nd_modle = 3"),
    "status.json": lambda run: run.status_file.write_bytes(b"\0" * 40),
    "notes.toml": lambda run: run.notes_file.write_text("tags = ["),
    "metrics.jsonl": lambda run: (run.metrics_file.unlink(), os.mkfifo(run.metrics_file)),
    "checkpoints/step-00000020": lambda run: damage(run, 20),
    "checkpoints/step-00000030": lambda run: (step_folder(run.checkpoints_dir, 30) / "manifest.json").unlink(),
    "exports/maps.mhc": lambda run: (run.exports_dir / "maps.mhc").write_bytes(b"mapS"),
}


@pytest.mark.parametrize("part", BREAK)
def test_what_is_broken_is_named_and_ends_with_exit_code_5(run: RunFolder, nano: Nano, part: str) -> None:
    BREAK[part](run)
    result = nano("runs", "verify", run.name, "--json")
    broken = [finding for finding in result.data["findings"] if finding["state"] == "broken"]
    assert (result.code, [finding["part"] for finding in broken], result.data["broken"]) == (5, [part], 1)
    assert broken[0]["detail"] and "\n" not in broken[0]["detail"]
    assert result.err.count("\n") == 1 and f"runs repair {run.name}" in result.err


@pytest.mark.parametrize("part", ["run.json", "config.toml", "status.json", "metrics.jsonl", "events.jsonl"])
def test_a_file_that_is_missing_is_broken_where_the_run_trained(run: RunFolder, nano: Nano, part: str) -> None:
    (run.path / part).unlink()
    result = nano("runs", "verify", run.name, "--json")
    broken = [finding["part"] for finding in result.data["findings"] if finding["state"] == "broken"]
    assert (result.code, broken) == (5, [part])


def test_a_configuration_without_a_key_is_broken(run: RunFolder) -> None:
    run.config_file.write_text("schema = 1\n")
    assert states(run)["config.toml"] == "broken"


def test_a_configuration_that_is_not_the_checkpoint_s_is_broken(run: RunFolder) -> None:
    trained = {"model": {"d_model": 64, "n_heads": 4}, "checkpoint": {"every": 7}}
    (step_folder(run.checkpoints_dir, 30) / "manifest.json").unlink()
    config = json.dumps({"schema": 1, "step": 20, "state": {"config": build(trained).model_dump()}})
    shutil.rmtree(step_folder(run.checkpoints_dir, 20))
    commit(lambda folder: (folder / "state.json").write_text(config), step_folder(run.checkpoints_dir, 20), {})  # type: ignore[arg-type, return-value]
    run.config_file.write_text(dump(build(trained | {"checkpoint": {"every": 9}})))
    assert states(run)["config.toml"] == "whole"
    run.config_file.write_text("[model]\nn_heads = 4\n")  # cut
    found = {finding.part: finding.detail for finding in verify_run(run) if finding.state == "broken"}
    assert "not what step-00000020 was trained with: model.d_model 64 -> " in found["config.toml"]


def test_records_that_were_emptied_are_a_note(run: RunFolder) -> None:
    for path in (run.metrics_file, run.events_file):
        path.write_bytes(b"")
    found = {finding.part: (finding.state, finding.detail) for finding in verify_run(run)}
    assert found["metrics.jsonl"] == found["events.jsonl"] == ("note", "0 records, though it trained")


def test_a_run_that_never_started_is_whole_without_status_and_records(tmp_path: Path) -> None:
    assert states(make_run(tmp_path)) == {"run.json": "whole", "config.toml": "whole"}


def test_a_torn_line_and_what_a_killed_save_left_are_notes(run: RunFolder, nano: Nano) -> None:
    with run.metrics_file.open("ab") as file:
        file.write(b'{"step":31,"lo')
        file.write(b"\nnot json\n")
    (run.checkpoints_dir / ".step-00000040.tmp-99").mkdir()
    found = {finding.part: (finding.state, finding.detail) for finding in verify_run(run)}
    assert found["metrics.jsonl"] == ("note", "30 records, 2 torn lines passed over")
    assert found["checkpoints/.step-00000040.tmp-99"][0] == "note"
    assert nano("runs", "verify").code == 0


def test_what_nothing_is_known_of_is_called_unverified(run: RunFolder) -> None:
    (run.exports_dir / "mine.txt").write_text("x")
    (run.exports_dir / "old.gguf").write_bytes(b"GGUF" + bytes(4000))
    found = states(run)
    assert (found["exports/mine.txt"], found["exports/old.gguf"]) == ("unverified", "unverified")


def test_all_runs_are_verified_and_only_what_is_not_whole_is_told_in_parts(
    nano: Nano, sound: RunFolder, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        shutil.copytree(sound.path, nano.root / name)
    damage(RunFolder(nano.root / "b"), 10)
    result = nano("runs", "verify")
    lines = result.out.splitlines()
    assert (result.code, len(lines)) == (5, 3)
    assert "10 parts" in lines[1] and "checkpoints/step-00000010" in lines[2] and "altered" in lines[2]
    assert nano("--runs", str(tmp_path / "none"), "runs", "verify").code == 0


def test_repair_moves_the_broken_away_and_keeps_the_good(run: RunFolder, nano: Nano) -> None:
    damage(run, 20)
    BREAK["checkpoints/step-00000030"](run)
    BREAK["exports/maps.mhc"](run)
    bad = (step_folder(run.checkpoints_dir, 20) / "model.safetensors").read_bytes()
    before = contents(run)
    planned = nano("runs", "repair", run.name, "--dry-run", "--json").data["actions"]
    assert contents(run) == before  # a dry run changes nothing
    done = nano("runs", "repair", run.name, "--json").data["actions"]
    assert [(each["part"], each["done"]) for each in done] == [(each["part"], each["done"]) for each in planned]
    assert len(done) == 3 and all(Path(each["place"]).is_relative_to(trash_dir(nano.root)) for each in done)
    assert (Path(done[0]["place"]) / "model.safetensors").read_bytes() == bad  # nothing is destroyed
    assert latest(run.checkpoints_dir) == step_folder(run.checkpoints_dir, 10)
    assert "broken" not in states(run).values()
    again = nano("runs", "repair", run.name)
    assert (again.code, again.err) == (0, f"{run.name}: nothing to repair\n")


def test_that_no_checkpoint_is_left_is_told_and_no_resume_begins_at_step_0(run: RunFolder, nano: Nano) -> None:
    for step in (10, 20, 30):
        damage(run, step)
    planned = repair(nano.root, run, dry=True)
    actions = repair(nano.root, run)
    assert [(each.part, each.done, each.why) for each in actions] == [(e.part, e.done, e.why) for e in planned]
    assert len(actions) == 4 and latest(run.checkpoints_dir) is None
    assert actions[-1].part == "checkpoints" and "none is left" in actions[-1].done
    assert "of step 30" in actions[-1].why and f"train {run.name}" in actions[-1].why
    assert states(run)["checkpoints"] == "note"
    before = contents(run)
    refused = nano("resume", run.name, "--set", "training.steps=80")
    assert (refused.code, refused.err.count("\n")) == (5, 1) and "no checkpoint is left" in refused.err
    assert contents(run) == before
    assert nano("runs", "restore", f"{run.name}/checkpoints/step-00000010").code == 0
    assert states(run)["checkpoints/step-00000010"] == "broken" and "checkpoints" not in states(run)


def test_a_run_that_never_saved_a_checkpoint_has_lost_none(run: RunFolder) -> None:
    shutil.rmtree(run.checkpoints_dir)
    run.events_file.write_text('{"schema":1,"kind":"started","step":0,"attempt":1}\n')
    assert set(states(run).values()) == {"whole"} and repair(run.path.parent, run) == []


def test_what_a_newer_version_wrote_stays(run: RunFolder) -> None:
    manifest = step_folder(run.checkpoints_dir, 30) / "manifest.json"
    manifest.write_text('{"schema": 999}')
    run.status_file.write_text('{"schema": 999}')
    assert states(run)["checkpoints/step-00000030"] == "unverified"
    assert repair(run.path.parent, run) == []
    assert manifest.read_text() == '{"schema": 999}'


def test_what_died_is_swept_and_what_may_live_stays(run: RunFolder) -> None:
    mine = run.exports_dir / f".x.gguf.tmp-{os.getpid()}"
    dead, young = run.exports_dir / ".y.gguf.tmp-4194305", run.path / ".status.json.tmp-4194305"
    for path in (mine, dead, young):
        path.write_text("x")
    for path in (mine, dead):
        os.utime(path, (time.time() - 2 * OLD, time.time() - 2 * OLD))
    (run.checkpoints_dir / ".step-00000040.tmp-99").mkdir()
    parts = {action.part for action in repair(run.path.parent, run)}
    assert parts == {"checkpoints/.step-00000040.tmp-99", "exports/.y.gguf.tmp-4194305"}
    assert (mine.exists(), dead.exists(), young.exists()) == (True, False, True)


ENDS = {
    "finished": ({"exit_code": 0}, ("finished", 0, 30, "")),
    "stopped": ({"exit_code": 143}, ("stopped", 143, 500, "")),
    "diverged": ({"exit_code": 4, "message": "loss is nan"}, ("diverged", 4, 500, "loss is nan")),
    "crashed": ({"message": "unexpected error"}, ("crashed", 1, 500, "unexpected error")),
    "crashed, as its console saw": (
        {"exit_code": -9},
        ("crashed", None, 500, "killed by SIGKILL, perhaps because memory ran out"),
    ),
    "none": ({}, ("crashed", None, 500, "")),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("gone", [False, True])
def test_a_status_is_written_anew_as_the_records_tell_it(run: RunFolder, end: str, gone: bool) -> None:
    facts, expected = ENDS[end]
    events = RecordWriter(run.events_file)
    events.write({"kind": "started", "step": 0, "attempt": 2})
    events.write({"kind": end.partition(",")[0], "step": 30, "attempt": 2, **facts})
    events.close()
    run.config_file.write_text(dump(build({"training": {"steps": 500}})))
    run.status_file.unlink() if gone else BREAK["status.json"](run)
    assert observe(run).state == "unknown"
    (action,) = repair(run.path.parent, run)
    status = status_of(run)
    message = status.message if end != "none" else ""
    assert (status.state, status.exit_code, status.steps, message) == expected
    assert (status.step, status.tokens, status.attempt) == (30, 30, 2)
    assert end != "none" or "ended without a word" in status.message
    assert gone or Path(action.place).read_bytes() == b"\0" * 40
    assert set(states(run).values()) == {"whole"}


def test_a_damaged_status_of_a_run_that_never_began_goes_away(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.status_file.write_text("{")
    (action,) = repair(run.path.parent, run)
    assert (action.part, action.done) == ("status.json", "moved to the trash")
    assert observe(run).state == "created"


def test_missing_records_begin_anew_and_the_run_can_be_packed(run: RunFolder, nano: Nano) -> None:
    run.metrics_file.unlink()
    assert nano("runs", "export", run.name, str(nano.root / "x.tar")).code == 2
    (action,) = repair(run.path.parent, run)
    assert (action.part, action.done) == ("metrics.jsonl", "begun anew, empty")
    assert states(run)["metrics.jsonl"] == "note"
    assert nano("runs", "export", run.name, str(nano.root / "x.tar")).code == 0


def test_what_only_a_copy_can_mend_is_told_and_left(run: RunFolder) -> None:
    run.config_file.write_text("[model")
    (action,) = repair(run.path.parent, run)
    assert (action.part, action.done) == ("config.toml", "stays broken: put a copy back")
    assert run.config_file.read_text() == "[model"


@pytest.mark.parametrize("dry", [True, False])
def test_a_run_at_work_is_refused(run: RunFolder, nano: Nano, dry: bool) -> None:
    damage(run, 20)
    save(run, 40)
    lock = acquire(run)
    with pytest.raises(BusyError):
        repair(run.path.parent, run, dry=dry)
    assert nano("runs", "repair", run.name).code == 75
    lock.release()
    assert step_folder(run.checkpoints_dir, 20).is_dir()
