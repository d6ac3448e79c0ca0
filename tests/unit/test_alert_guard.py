"""Alerts of whole runs: when they are raised, by which console, how they end, what they do, and what is kept of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nanoconsole.services import alert_guard
from nanoconsole.services.alert_file import LARGEST, compact
from nanoconsole.services.alert_guard import Guard, Look
from nanoconsole.services.alert_log import Alert, AlertLog, condensed, ending, raised
from nanoconsole.services.alert_rules import RULES
from nanoconsole.services.alerts import acknowledge, mute
from nanoconsole.services.run_checks import RunChecks
from nanoconsole.services.settings import Settings
from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder, alerts_file
from nanocore.runs.liveness import acquire
from nanocore.runs.records import Record, RecordWriter
from tests.run_helpers import status_of_me

CREATED = 1000.0
GIB = 2.0**30


class Scene:
    """A run whose trainer is this process, and a guard with clocks that stand until they are moved."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.run = create_run(root, Config(), name="busy")
        self.lock = acquire(self.run)
        self.step = self.beat = 0
        self.free, self.now = 40 * GIB, 0.0
        self.told: list[str] = []
        monkeypatch.setattr(alert_guard, "free_bytes", lambda root: self.free)
        self.set_status()

    def set_status(self, state: str = "running", **fields: object) -> None:
        facts = {"state": state, "phase": "training", "step": self.step, "alive": self.beat, "progress": self.step}
        write_document(self.run.status_file, status_of_me(**{"attempt": 1, **facts, **fields}))

    def train(self, count: int, **metrics: float) -> None:
        writer = RecordWriter(self.run.metrics_file)
        for _ in range(count):
            self.step += 1
            writer.write({"step": self.step, "attempt": 1, "loss/ce": 2.0, "training/grad_norm": 1.0, **metrics})
        writer.close()
        self.beat += 1
        self.set_status()

    def guard(self, **settings: object) -> Guard:
        values = {**Settings().values, **settings}
        return Guard(self.root, Settings(values), self.told.append, ticks=lambda: self.now)  # type: ignore[arg-type]

    def look(self, guard: Guard) -> list[str]:
        return names(guard.look({self.run: CREATED}))

    def end(self, state: str, **fields: object) -> None:
        self.lock.release()
        self.set_status(state, **fields)


def names(look: Look | None) -> list[str]:
    return [alert.rule for alert in look.raised] if look else []


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def alerts(root: Path) -> tuple[Alert, ...]:
    return AlertLog(root).read().alerts


def test_a_spike_is_raised_once_recorded_and_over_when_it_is_calm(scene: Scene) -> None:
    guard = scene.guard()
    scene.train(40)
    assert scene.look(guard) == []
    scene.train(1, **{"loss/ce": 9.0})
    assert scene.look(guard) == ["loss_spike"]
    assert scene.look(guard) == []
    (alert,) = alerts(scene.root)
    assert (alert.run, alert.step, alert.open, alert.high) == (scene.run, 41, True, 6.0)
    assert alert.link == "docs/troubleshooting.md#nan-divergence"
    scene.train(10)
    scene.look(guard)
    assert not alerts(scene.root)[0].open


def test_what_happened_before_the_console_came_raises_no_storm(scene: Scene) -> None:
    for _ in range(5):
        scene.train(30)
        scene.train(1, **{"loss/ce": 9.0, "training/grad_norm": 500.0})
    scene.train(30)
    assert scene.look(scene.guard()) == []


def test_a_state_that_lasts_is_raised_even_when_it_began_before(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    guard = scene.guard()
    assert scene.look(guard) == ["mhc_gain"]
    guard.close()
    assert scene.look(scene.guard()) == []  # the next console knows it from the records
    assert len(alerts(scene.root)) == 1


def test_what_was_over_and_began_again_while_nobody_looked_is_the_same_alert(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    guard = scene.guard()
    scene.look(guard)
    guard.close()
    scene.train(10, **{"mhc/composite_gain": 1.0})
    scene.train(1, **{"mhc/composite_gain": 5.0})
    again = scene.guard()
    assert scene.look(again) == []
    scene.train(10, **{"mhc/composite_gain": 1.0})
    scene.look(again)
    assert [alert.open for alert in alerts(scene.root)] == [False]


def test_what_ended_while_nobody_looked_is_over(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    guard = scene.guard()
    scene.look(guard)
    guard.close()
    scene.train(10, **{"mhc/composite_gain": 1.0})
    scene.look(scene.guard())
    assert not alerts(scene.root)[0].open
    scene.lock.release()


def test_a_full_disk_is_raised_at_its_limit_and_is_over_well_above_it(scene: Scene) -> None:
    guard = scene.guard(**{"alerts.disk.below": 3.0})
    scene.train(1)
    assert scene.look(guard) == []
    scene.free = 2.9 * GIB
    assert scene.look(guard) == ["disk"]
    scene.free = 3.1 * GIB
    for _ in range(10):
        assert scene.look(guard) == []
    assert alerts(scene.root)[0].open
    scene.free = 4 * GIB
    for _ in range(5):
        scene.look(guard)
    assert not alerts(scene.root)[0].open


def test_a_heart_that_stands_still_is_raised_by_our_own_clock(scene: Scene) -> None:
    guard = scene.guard()
    scene.train(3)
    scene.look(guard)
    scene.now = 29.0
    assert scene.look(guard) == []
    scene.now = 31.0
    assert scene.look(guard) == ["heartbeat"]
    for _ in range(6):
        scene.train(1)
        scene.look(guard)
    assert not alerts(scene.root)[0].open


def test_a_trainer_that_lives_and_gets_on_no_more_is_stalled(scene: Scene) -> None:
    guard = scene.guard()
    for _ in range(3):
        scene.train(1)
        scene.look(guard)
    found: list[str] = []
    for second in range(0, 400, 10):
        scene.now = 1000.0 + second
        scene.beat += 1
        scene.set_status(phase="saving\x1b[31m$(reboot)")
        found += scene.look(guard)
    assert found == ["heartbeat"]
    assert alerts(scene.root)[0].text.startswith("no progress for ")
    assert "reboot" not in alerts(scene.root)[0].text


@pytest.mark.parametrize(
    ("state", "fields", "section"),
    [
        ("crashed", {"message": "out of memory: 3 GiB wanted", "exit_code": 6}, "out-of-memory"),
        ("crashed", {"message": "killed by SIGKILL, perhaps because memory ran out"}, "out-of-memory"),
        ("crashed", {"message": "RuntimeError: \x1b]0;x\x07 no", "exit_code": 1}, "crashed"),
        ("diverged", {"message": "non-finite loss", "exit_code": 4}, "nan-divergence"),
    ],
)
def test_a_bad_end_is_raised_with_the_section_that_helps(
    scene: Scene, state: str, fields: dict[str, object], section: str
) -> None:
    guard = scene.guard()
    scene.train(3, **{"mhc/composite_gain": 5.0})
    scene.look(guard)
    scene.end(state, **fields)
    assert names(guard.look({})) == ["ended"]
    ended, gain = sorted(alerts(scene.root), key=lambda alert: alert.rule)
    assert (ended.rule, ended.section, ended.open) == ("ended", section, True)
    assert not gain.open  # what depends on a run that works is over with it
    assert "\x1b" not in ended.detail
    assert guard.look({}) is None


def test_a_run_that_ended_before_the_console_came_raises_nothing(scene: Scene) -> None:
    scene.train(3)
    scene.end("crashed", message="long ago")
    assert names(scene.guard().look({})) == []


def test_a_resumed_run_ends_the_alert_of_its_bad_end(scene: Scene) -> None:
    guard = scene.guard()
    scene.train(3)
    scene.look(guard)
    scene.end("crashed", message="lost")
    guard.look({})
    scene.lock = acquire(scene.run)
    scene.set_status(attempt=2)
    scene.look(guard)
    assert not alerts(scene.root)[0].open


def test_of_two_consoles_one_raises_and_acts_and_both_tell(scene: Scene) -> None:
    first, second = scene.guard(), scene.guard()
    scene.train(40)
    assert (scene.look(first), scene.look(second)) == ([], [])
    scene.train(1, **{"loss/ce": 9.0})
    assert scene.look(second) == []  # the other one has not looked yet
    assert scene.look(first) == ["loss_spike"]
    assert scene.look(second) == ["loss_spike"]
    assert len(alerts(scene.root)) == 1
    first.close()
    scene.train(20)
    scene.look(second)
    scene.train(1, **{"loss/ce": 9.0})
    assert scene.look(second) == ["loss_spike"]  # it took over


def test_a_muted_rule_says_nothing_of_its_run_until_it_may_again(scene: Scene) -> None:
    guard = scene.guard()
    scene.train(40)
    scene.look(guard)
    mute(scene.run, "loss_spike", muted=True)
    scene.train(1, **{"loss/ce": 9.0, "training/grad_norm": 99.0})
    assert scene.look(guard) == ["gradient_spike"]
    mute(scene.run, "loss_spike", muted=False)
    scene.train(20)
    scene.look(guard)
    scene.train(1, **{"loss/ce": 9.0})
    assert scene.look(guard) == ["loss_spike"]


def test_a_rule_that_is_off_and_one_with_another_range(scene: Scene) -> None:
    guard = scene.guard(**{"alerts.loss_spike.enabled": False, "alerts.gradient_spike.above": 200.0})
    scene.train(40)
    scene.look(guard)
    scene.train(1, **{"loss/ce": 9.0, "training/grad_norm": 99.0})
    assert scene.look(guard) == []


def test_a_new_run_of_an_old_name_inherits_no_alert(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    guard = scene.guard()
    guard.look({scene.run: CREATED})
    assert AlertLog(scene.root).read().of(scene.run, CREATED + 1) == ()
    assert names(guard.look({scene.run: CREATED + 1})) == ["mhc_gain"]


def test_what_is_acknowledged_stays_so_in_the_next_console(scene: Scene) -> None:
    scene.train(10, **{"mhc/composite_gain": 5.0})
    scene.look(scene.guard())
    acknowledge(alerts(scene.root))
    assert alerts(scene.root)[0].acknowledged
    assert AlertLog(scene.root).read().new == ()


def test_pause_and_checkpoint_are_asked_of_the_trainer(scene: Scene) -> None:
    guard = scene.guard(**{"alerts.mhc_gain.actions": ("pause", "checkpoint")})
    scene.train(1, **{"mhc/composite_gain": 5.0})
    scene.look(guard)
    assert sorted(path.name for path in scene.run.control_dir.iterdir()) == ["checkpoint", "pause"]


def test_an_action_that_is_not_possible_is_told(scene: Scene) -> None:
    guard = scene.guard(**{"alerts.ended.actions": ("checkpoint", "command")})
    scene.train(1)
    scene.look(guard)
    scene.end("crashed", message="gone")
    guard.look({})
    assert len(scene.told) == 2
    assert "checkpoint was not possible" in scene.told[0]
    assert "alerts.command is empty" in scene.told[1]


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_command_gets_whole_arguments_and_no_shell(scene: Scene, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = tmp_path / "tell.sh"
    script.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.tmp"; mv "$0.tmp" "' + str(out) + '"\n')
    script.chmod(0o755)
    command = (str(script), "{run} $(reboot)", "{rule}", "{step}", "{text}", "{unknown}")
    guard = scene.guard(**{"alerts.mhc_gain.actions": ("command",), "alerts.command": command})
    scene.train(1, **{"mhc/composite_gain": 5.0})
    scene.look(guard)
    wait_until(out.exists)
    assert out.read_text().splitlines() == [
        "busy $(reboot)", "mhc_gain", "1", "mhc/composite_gain is 5.000", "{unknown}",
    ]  # fmt: skip
    assert scene.told == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("/no/such/program",), "cannot be started: No such file or directory"),
        (("a\x00b",), "cannot be started"),
        (("/bin/sh", "-c", "exit 3"), "ended with exit code 3"),
        (("/bin/sh", "-c", "sleep 60 & wait"), "was ended after 0.2 s"),
    ],
)
def test_a_command_that_fails_or_hangs_is_told_and_ended(scene: Scene, command: tuple[str, ...], told: str) -> None:
    values = {"alerts.mhc_gain.actions": ("command",), "alerts.command": command, "alerts.command_seconds": 0.2}
    guard = scene.guard(**values)
    scene.train(1, **{"mhc/composite_gain": 5.0})
    scene.look(guard)
    wait_until(lambda: bool(scene.told))
    assert told in scene.told[0]
    assert "\x00" not in scene.told[0]


def test_a_root_that_cannot_be_written_is_watched_all_the_same(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    guard = scene.guard()
    scene.train(1, **{"mhc/composite_gain": 5.0})
    look = guard.look({scene.run: CREATED})
    assert names(look) == ["mhc_gain"]
    assert look is not None
    assert "cannot be recorded: Permission denied" in look.alerts.problem


def test_every_section_that_an_alert_names_is_in_the_page() -> None:
    page = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
    titles = [line[3:] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    anchors = {
        "".join(sign for sign in title.lower().replace(" ", "-") if sign.isalnum() or sign == "-") for title in titles
    }
    assert {rule.section for rule in RULES} | {"crashed", "nan-divergence", "out-of-memory"} <= anchors


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b'{"kind":"raised"}\n',
        b'{"kind":"raised","id":"x","run":"../../etc","rule":"disk","step":1,"time":1}\n',
        b'{"kind":"raised","id":"x","run":"a","rule":"nonsense","step":1,"time":1}\n',
        b'{"kind":"raised","id":"x","run":"a","rule":"disk","step":-1,"time":1}\n',
        b'{"kind":"raised","id":"x","run":"a","rule":"disk","step":1e99,"time":1}\n',
        b'{"kind":"raised","id":"x","run":"a","rule":"disk","step":1,"time":null}\n',
        b'{"kind":"cleared","id":["x"]}\n',
        b'{"kind":"muted","run":null,"rule":7}\n',
        b'{"kind":"raised","id":"x","run":{},"rule":[],"step":1,"time":1}\n',
    ],
)
def test_damaged_records_are_passed_over(tmp_path: Path, line: bytes) -> None:
    alerts_file(tmp_path).parent.mkdir()
    alerts_file(tmp_path).write_bytes(line)
    assert alerts(tmp_path) == ()


def test_a_record_is_read_as_it_was_written_and_made_safe(tmp_path: Path) -> None:
    log = AlertLog(tmp_path)
    alert = Alert(
        "i", "heartbeat", RunFolder(tmp_path / "a"), 1.0, 7, 2.0, float("nan"), 0.0, float("inf"), "t", "\x1b[2J", "s"
    )
    log.add([raised(alert)])
    (found,) = alerts(tmp_path)
    assert (found.run, found.step, found.high) == (alert.run, 7, float("inf"))
    assert found.detail == "␛[2J"


def test_many_old_records_are_read_from_the_end_alone(tmp_path: Path) -> None:
    log = AlertLog(tmp_path)
    alert = Alert("0", "disk", RunFolder(tmp_path / "a"), 1.0, 1, 1.0, 1.0, 2.0, 3.0, "x" * 250, "y" * 250)
    entry = raised(alert)
    log.add({**entry, "id": str(number), "time": float(number + 1)} for number in range(4000))
    assert alerts_file(tmp_path).stat().st_size > 2 << 20
    found = alerts(tmp_path)
    assert 1000 < len(found) < 3000
    assert found[0].id == "3999"


def test_a_file_that_grew_large_is_rewritten_and_says_the_same(scene: Scene) -> None:
    other, here = AlertLog(scene.root), RunFolder(scene.root / "busy")
    past = Alert("0", "throughput", here, CREATED, 1, 1.0, 1.0, 2.0, 3.0, "x" * 250, "y" * 250)
    for number in range(1, 1200):
        old = replace(past, id=str(number), time=float(number), rule="ended" if number == 1 else "throughput")
        done = [] if number == 1 else [ending(old, "cleared", number + 5.0)]
        other.add([raised(old), *done])
    mute(here, "heartbeat", muted=True)
    mute(RunFolder(scene.root / "deleted"), "heartbeat", muted=True)
    newest = next(alert for alert in alerts(scene.root) if alert.id == "1199")
    acknowledge([newest])
    assert alerts_file(scene.root).stat().st_size > LARGEST
    assert len(other.read().alerts) == 1199
    scene.guard().look({scene.run: CREATED + 1})
    assert alerts_file(scene.root).stat().st_size < LARGEST
    found = other.read()  # which followed the file that was replaced
    kept = {alert.id: alert for alert in found.alerts}
    assert kept["1"].open and kept["1199"].acknowledged and kept["1199"].cleared == 1204.0
    assert 200 < len(kept) < 1000 and "2" not in kept
    assert found.muted == {(here, "heartbeat")}
    assert alerts(scene.root) == found.alerts


def test_what_is_recorded_while_the_file_is_rewritten_is_not_lost(tmp_path: Path) -> None:
    log, path = AlertLog(tmp_path), alerts_file(tmp_path)
    alert = Alert("0", "disk", RunFolder(tmp_path / "a"), 1.0, 1, 1.0, 1.0, 2.0, 3.0, "x" * 250)
    log.add(raised(replace(alert, id=str(number), time=float(number))) for number in range(3000))
    writing = threading.Thread(target=lambda: log.add([raised(replace(alert, id="late", time=9999.0))]))

    def slow(room: int) -> list[Record]:
        writing.start()
        time.sleep(0.05)
        return list(condensed(AlertLog(tmp_path).read(), room))

    assert compact(path, slow)
    writing.join()
    assert alerts(tmp_path)[0].id == "late"


def test_a_whole_run_is_judged_afterwards(scene: Scene) -> None:
    scene.train(40)
    scene.train(1, **{"loss/ce": 9.0})
    scene.train(40)
    scene.train(1, **{"loss/ce": 9.0})
    changes = RunChecks(scene.run, Settings(), whole=True).look(40 * GIB)
    assert [(change.step, change.rule) for change in changes if change.raised] == [
        (41, "loss_spike"),
        (82, "loss_spike"),
    ]


def test_only_the_end_of_a_long_record_is_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(20):
        scene.train(500, **{"mhc/composite_gain": 1.0})
    read: list[int] = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, place: read.append(len(found := real(fd, size, place))) or found)
    scene.look(scene.guard())
    assert scene.run.metrics_file.stat().st_size > 900_000
    assert sum(read) < 300_000
