"""Techniques on the screens: switched by one key, seen while they train, FIRE only after a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services.history import History
from nanoconsole.tui.charts import mixing
from nanoconsole.tui.widgets.chart_spec import View
from nanoconsole.tui.widgets.form import Form
from nanoconsole.tui.widgets.plot import draw
from nanocore.runs.create import update_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter
from tests.tui.scenes import at_work, console, cursor_on, lay, seen
from tests.tui.test_live_screen import append, see, watching
from tests.tui.test_runs_screen import commands

COLLIDER = {
    "collider/kept_fraction": 0.6, "collider/importance_p10": 0.5, "collider/importance_p50": 1.5,
    "collider/importance_p90": 4.5, "loss/kept": 2.5,
}  # fmt: skip


@pytest.mark.usefixtures("presets")
async def test_one_key_switches_experts_on_with_their_details_and_what_they_cost(root: Path) -> None:
    app = console(root)
    async with app.run_test(size=(120, 60)) as pilot:
        await pilot.press("2")
        cursor_on(app, "moe.experts")
        before = await seen(pilot)
        assert "moe.experts            ○ 0" in before and "│ moe  " not in before
        await pilot.press("right")
        on = await seen(pilot)
        assert "◆ moe.experts            ● 4  was 0" in on
        assert "│ moe  " in on and "active                 2" in on
        assert "parameters  3.48M→10.6M" in on and "active      3.48M→5.84M" in on  # two experts of four
        assert "+7.08M parameters, +" in on
        field = app.screen.query_one(Form).field
        assert field is not None and field.key == "moe.experts"
        await pilot.press("left")
        assert (await seen(pilot)).splitlines()[:-1] == before.splitlines()[:-1]


async def test_a_technique_that_is_on_has_its_lines_chart_and_numbers(root: Path) -> None:
    run = lay(root, "r", steps=40)
    run.config_file.write_text(run.config_file.read_text().replace('state = "float32"', 'state = "int8"'))
    update_run(run, optimizer_state={"momentum": 260}, groups=[{"optimizer": "muon", "values": 256}])
    async with watching(run, (130, 36)) as (app, pilot):
        plain = await seen(pilot)
        assert "MTP" not in plain and "kept" not in plain
        assert "matrix state int8: 25.4% of float32 Muon's" in plain
        append(run, step=41, tokens=41, elapsed=41.0, **{"loss/mtp": 3.25, **COLLIDER})
        text = await see(app, pilot)
        assert "▲ mtp 3.250" in text and "■ kept 2.500" in text
        assert "MTP 3.250  kept 60.0%  importance 0.5000 / 1.500 / 4.500 (10, 50, 90 %)" in text
        assert "mHC  gain" in text
        await pilot.press("m")
        text = await seen(pilot)
        assert "importance nats  kept 0.6000" in text and "mHC  gain" not in text
        await pilot.press("m")
        assert "held-out bits/byte" in await seen(pilot)
        await pilot.press("m")
        assert "mHC  gain" in await seen(pilot)


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("lite", "mHC  gain 1.000 (1 expected)"),
        ("sinkhorn", "mHC  gain 1.000 (1 expected)  back 1.250 (near 1 expected)"),
        ("unconstrained", "HC  gain 1.000 (not bounded)  back 1.250 (not bounded)"),
    ],
)
def test_the_gain_stands_beside_what_its_kind_of_maps_promises(kind: str, title: str) -> None:
    made = History()
    made.add([{"step": 1, "mhc/stream_cosine": 0.5, "mhc/composite_gain": 1.0, "mhc/composite_gain_backward": 1.25}])
    assert title in draw(120, 12, mixing(kind), made, View()).canvas.text().split("\n")[0]


async def test_sick_streams_are_told_with_the_reason(root: Path) -> None:
    run = lay(root, "r", state="running", steps=60)
    append(run, step=61, **{"mhc/health": 2.0})
    told(run, {"kind": "health", "step": 61, "message": "residual streams: sick, two streams are copies"})
    with at_work(run):
        async with watching(run) as (app, pilot):
            assert "✗ residual streams: sick, two streams are copies" in await seen(pilot)
            append(run, step=62, **{"mhc/health": 0.0})
            assert "✓ healthy" in await see(app, pilot)


async def test_what_the_optimizer_keeps_stands_in_the_text_view_beside_the_estimate(root: Path) -> None:
    run = lay(root, "r", steps=5)
    update_run(run, optimizer_state={"momentum": 1 << 20, "projector": 1 << 18}, optimizer_estimate=5 << 18)
    told(run, {"kind": "fire", "step": 3, "error": 2e-4}, {"kind": "fire", "step": 3, "error": 1e-4})
    async with watching(run, (120, 34)) as (_, pilot):
        before = await seen(pilot)
        assert "projector" not in before and "FIRE step 3: 2 matrices" in before
        await pilot.press("t")
        assert "1.25 MiB: momentum 1.00 MiB, projector 256 KiB; estimated 1.25 MiB" in await seen(pilot)


async def test_fire_asks_before_it_reaches_the_run(root: Path) -> None:
    run = lay(root, "busy", state="running", steps=5)
    with at_work(run):
        async with watching(run, (100, 30)) as (app, pilot):
            await pilot.press("F")
            text = await seen(pilot)
            assert "FIRE busy" in text and "*.attention.query.weight" in text
            await pilot.press("enter")  # the first answer leaves the weights as they are
            await pilot.press("F", "escape")
            await app.workers.wait_for_complete()
            assert commands(run) == []
            await pilot.press("F", "down", "enter")
            await app.workers.wait_for_complete()
            assert commands(run) == ["fire"]
            assert "busy reinitialises its matrices after this step" in await seen(pilot)


def told(run: RunFolder, *events: dict) -> None:
    writer = RecordWriter(run.events_file)
    for event in events:
        writer.write({"attempt": 1, **event})
    writer.close()
