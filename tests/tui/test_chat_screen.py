"""Chat: lines to one model and to two, stopping, settings, a worker that dies, hostile texts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.screens.chat import ChatScreen
from nanocore.runs.layout import RunFolder
from tests.tui.checkpoint_scenes import save
from tests.tui.scenes import console, lay, look
from tests.tui.worker_scenes import FakeWorker, ready, reply, settled, text


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanoconsole.services.workers.Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "made", [])


@asynccontextmanager
async def chatting(
    root: Path, run: RunFolder | None, size: tuple[int, int] = (100, 30)
) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    app = console(root)
    async with app.run_test(size=size) as pilot:
        look(app)
        await pilot.pause()
        if run is not None:
            app.watch_run(run)
        await settled(pilot, "7")
        yield app, pilot


async def test_a_line_is_said_to_the_newest_checkpoint_of_the_opened_run(root: Path) -> None:
    run = lay(root, "r")
    async with chatting(root, run) as (_, pilot):
        assert "r@latest  ○ not loaded" in await settled(pilot)
        assert FakeWorker.made == []  # looking costs nothing
        assert "◐ loading" in await settled(pilot, "i", *"def", "space", "f", "enter")
        worker = FakeWorker.made[0]
        assert worker.request["verb"] == "chat" and Path(worker.request["source"]) == run.path.absolute()
        assert worker.request["step"] == "latest"
        (said,) = worker.sent
        assert (said["say"], said["fresh"], said["temperature"], said["tokens"]) == ("def f\n", True, 0.8, 200)
        worker.answer(ready(), text("(x):\n", 3), text("  return", 5))
        shown = await settled(pilot)
        assert "◐ writing" in shown and "› def f" in shown and "  return" in shown
        worker.answer(reply("(x):\n  return", 5, 0.5))
        shown = await settled(pilot)
        assert "● ready  10.0 tok/s  step 240 native" in shown and "5 tokens, 10.0 tok/s, all tokens" in shown
        await settled(pilot, "x", "enter")
        assert worker.sent[1]["say"] == "\nx\n" and worker.sent[1]["fresh"] is False
    assert worker.cancelled  # with the screen


async def test_two_models_hear_the_same_one_after_the_other(root: Path) -> None:
    run, other = lay(root, "r"), lay(root, "other")
    save(other, 3, 7)
    async with chatting(root, run) as (app, pilot):
        assert "other  step 3" in await settled(pilot, "b")
        await settled(pilot, *"step", "space", "3", "enter")
        assert "B other@3" in await settled(pilot)
        await settled(pilot, "i", *"hi", "enter")
        (first,) = FakeWorker.made
        first.answer(ready(), reply("one", 1, 1.0))
        await settled(pilot)
        second = FakeWorker.made[1]
        assert second.request["step"] == 3 and second.sent == first.sent
        second.answer(ready("step-00000003"), reply("two", 1, 1.0))
        shown = await settled(pilot, "escape")
        assert "one" in shown and "two" in shown and shown.count("› hi") == 2
        assert "other@3" not in await settled(pilot, "b", "enter")  # "none" stands first
        assert second.cancelled
        assert isinstance(app.screen, ChatScreen)


async def test_a_reply_is_stopped_by_a_key_also_while_one_types(root: Path) -> None:
    async with chatting(root, lay(root, "r")) as (_, pilot):
        await settled(pilot, "i", "a", "enter")
        worker = FakeWorker.made[0]
        worker.answer(ready(), text("b", 1))
        assert "a reply is being written; ^g ends it" in await settled(pilot, "c", "enter")
        await settled(pilot, "ctrl+g")
        assert worker.sent[-1] == {"cancel": True}
        worker.answer(reply("b", 1, 0.1, "cancelled"))
        assert "1 token, 10.0 tok/s, stopped" in await settled(pilot)


async def test_new_begins_anew_and_unload_ends_the_process(root: Path) -> None:
    async with chatting(root, lay(root, "r")) as (_, pilot):
        await settled(pilot, "i", "a", "enter")
        worker = FakeWorker.made[0]
        worker.answer(ready(), reply("b", 1, 0.1))
        assert "Nothing was said yet" in await settled(pilot, "escape", "n")
        await settled(pilot, "i", "c", "enter")
        assert worker.sent[-1]["say"] == "c\n" and worker.sent[-1]["fresh"] is True
        worker.answer(reply("d", 1, 0.1))
        await settled(pilot, "escape", "u")
        assert worker.cancelled
        await settled(pilot, "i", "e", "enter")
        assert FakeWorker.made[1].sent[-1]["say"] == "c\nd\ne\n"  # goes on from what was said, in a new process


async def test_a_worker_that_dies_is_told_in_a_line_and_started_again(root: Path) -> None:
    async with chatting(root, lay(root, "r")) as (_, pilot):
        await settled(pilot, "i", "a", "enter")
        FakeWorker.made[0].answer(
            ready(), text("half", 1), {"kind": "error", "message": "killed by SIGKILL", "exit_code": 6}, None
        )
        shown = await settled(pilot)
        assert "✗ failed" in shown and "✗ killed by SIGKILL" in shown and "cut off" in shown
        await settled(pilot, "b", "enter")
        assert FakeWorker.made[1].sent[-1]["say"] == "a\nhalf\nb\n"


async def test_what_takes_long_before_the_first_word_is_said_and_no_longer(root: Path) -> None:
    async with chatting(root, lay(root, "r"), (60, 24)) as (_, pilot):
        await settled(pilot, "i", "a", "enter")
        worker = FakeWorker.made[0]
        worker.answer({"kind": "notice", "text": "compiling the kernels for this processor, once; a minute \x1b[2J"})
        shown = " ".join((await settled(pilot)).split())
        assert "◐ compiling the kernels for this processor, once; a minute ␛[2J" in shown
        worker.answer(ready())
        assert "compiling" not in await settled(pilot)
        worker.answer({"kind": "notice", "text": "measuring layouts"})
        assert "◐ measuring layouts" in await settled(pilot)
        worker.answer(text("b", 1))
        assert "measuring" not in await settled(pilot)


async def test_a_damaged_checkpoint_that_was_passed_over_stands_above_the_talk(root: Path) -> None:
    async with chatting(root, lay(root, "r")) as (_, pilot):
        await settled(pilot, "i", "a", "enter")
        FakeWorker.made[0].answer(
            {**ready(), "passed_over": "r: step-9 is damaged \x1b[2J; step-5 is used"}, reply("b", 1, 1.0)
        )
        shown = await settled(pilot)
        assert "! r: step-9 is damaged ␛[2J; step-5 is used" in shown and "● ready" in shown


@pytest.mark.slow
async def test_settings_reach_the_next_line_and_faults_stay_in_the_dialog(root: Path) -> None:
    async with chatting(root, lay(root, "r"), (100, 34)) as (_, pilot):
        assert "0 takes the likeliest token" in await settled(pilot, "t")
        await settled(pilot, *"11", "enter")
        assert "✗ temperature is a number from 0 to 10" in await settled(pilot)
        await settled(pilot, "backspace", "backspace", "0", *["tab"] * 5, *"9", *["tab"] * 2, *r"Q:\_", "enter")
        assert "temperature 0  top-k 50  seed 9  tokens 200" in await settled(pilot)
        await settled(pilot, "i", *"hi", "enter")
        sent = FakeWorker.made[0].sent[0]
        assert (sent["temperature"], sent["seed"], sent["say"], sent["stop"]) == (0.0, 9, "Q: hi\n", ["\nQ:"])
        await settled(pilot, "escape", "t", "escape")
        assert "Q: hi" not in await settled(pilot)


async def test_what_a_model_writes_never_steers_the_terminal(root: Path) -> None:
    async with chatting(root, lay(root, "r")) as (_, pilot):
        await settled(pilot, "i", "a", "enter")
        hostile = "\x1b[2J[bold]x[/]\x9b31m"
        FakeWorker.made[0].answer(ready(hostile), text(hostile, 1), {"kind": "error", "message": hostile})
        shown = await settled(pilot)
        assert "␛[2J[bold]x[/]" in shown and "\x1b" not in shown and "\x9b" not in shown


async def test_without_a_run_it_says_how_to_choose_a_model(root: Path) -> None:
    async with chatting(root, None) as (_, pilot):
        assert "No model to talk with" in await settled(pilot)
        shown = await settled(pilot, "m", *"/no/such.gguf", "enter")
        assert "cannot be read: No such file" in shown


async def test_long_replies_scroll(root: Path) -> None:
    async with chatting(root, lay(root, "r"), (80, 24)) as (_, pilot):
        await settled(pilot, "i", "a", "enter")
        lines = "".join(f"line {number}\n" for number in range(60))
        FakeWorker.made[0].answer(ready(), reply(lines, 60, 1.0))
        assert "line 59" in await settled(pilot, "escape")
        assert "line 59" not in await settled(pilot, "pageup", "up")
        assert "line 59" in await settled(pilot, "end")
