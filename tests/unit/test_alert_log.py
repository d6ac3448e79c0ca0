"""What is kept of alerts, and for how long; damaged records are passed over."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nanoconsole.services.alert_file import LARGEST, compact
from nanoconsole.services.alert_log import Alert, AlertLog, condensed, ending, raised
from nanoconsole.services.alerts import acknowledge, mute
from nanocore.runs.layout import RunFolder, alerts_file
from nanocore.runs.records import Record
from tests import alert_scenes
from tests.alert_scenes import CREATED, Scene, alerts

scene = alert_scenes.scene


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
