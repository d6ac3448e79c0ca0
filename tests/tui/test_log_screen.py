"""Log: every key, a search, the levels, and a log that grows, begins anew or cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services import log_pieces
from nanoconsole.tui.widgets.log_pane import LogPane
from nanocore.runs.layout import RunFolder
from tests.tui.run_scenes import SearchAtOnce, SearchInTime, press, showing, write_log
from tests.tui.scenes import lay


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanoconsole.tui.log_searching.LogSearch", SearchAtOnce)


@pytest.fixture
def run(root: Path) -> RunFolder:
    found = lay(root, "r", steps=5)
    write_log(found)
    return found


async def test_the_end_is_followed_until_one_moves(run: RunFolder) -> None:
    async with showing(run, "9") as (_, pilot):
        text = await press(pilot)
        assert "line 302 of 302" in text and "following" in text and "step 300: ce 2.1, [bold]300[/]" in text
        with run.log_file.open("a") as file:
            file.write("2026-11-21 12:00:01 INFO    step 301: new\nunfinished")
        text = await press(pilot)
        assert "line 304 of 304" in text and "step 301: new" in text and "unfinished" in text
        assert "line 303 of 304" in await press(pilot, "up")
        with run.log_file.open("a") as file:
            file.write(" line\nmore\n")
        text = await press(pilot)
        assert "line 303 of 305" in text and "staying" in text
        assert "line 305 of 305" in await press(pilot, "f")
        assert "staying" in await press(pilot, "f")


async def test_keys_go_through_the_lines(run: RunFolder) -> None:
    async with showing(run, "9", (100, 24)) as (app, pilot):
        assert "line 1 of 302" in await press(pilot, "home")
        assert "line 2 of 302" in await press(pilot, "down")
        text = await press(pilot, "pagedown")
        room = app.screen.query_one(LogPane).room
        assert f"line {room + 1} of 302" in text and f"step {room + 1}:" in text
        assert "line 2 of 302" in await press(pilot, "pageup")
        assert "following" in await press(pilot, "end")
        text = await press(pilot, "right")
        assert "INFO    step 300: ce" not in text.splitlines()[10]
        assert "12:00:00 INFO    step 300" in await press(pilot, "left")
        await pilot.click(LogPane, offset=(5, 0))
        assert f"line {302 - room + 1} of 302" in await press(pilot)
        app.screen.query_one(LogPane).on_mouse_scroll_up(None)  # type: ignore[arg-type]
        assert f"line {302 - room - 2} of 302" in await press(pilot)


async def test_a_step_is_gone_to(run: RunFolder) -> None:
    async with showing(run, "9") as (_, pilot):
        text = await press(pilot, "g", "1", "5", "0", "enter")
        assert "line 150 of 302" in text and text.splitlines()[-2].strip().startswith(
            "2026-11-21 12:00:30 INFO    step 150"
        )


async def test_a_search_counts_jumps_and_goes_round(run: RunFolder) -> None:
    async with showing(run, "9", (110, 30)) as (_, pilot):
        await press(pilot, "home", "slash")
        assert "/nothing~  0 matches" in await press(pilot, *"nothing~", "enter")
        text = await press(pilot, "slash", *"odd|p.29", "enter")
        assert "/odd|p.29  12 matches" in text and "line 29 of 302" in text
        assert "line 100 of 302" in await press(pilot, "n")
        assert "match 3 of 12" in await press(pilot, "n")
        assert "line 100 of 302" in await press(pilot, "N")
        assert "match 12 of 12" in await press(pilot, "N", "N")
        assert "odd|p" not in await press(pilot, "escape")  # the search ends, the screen stays
        assert "/ searches first" in await press(pilot, "n")


async def test_the_search_line_can_be_left_and_says_what_is_wrong(run: RunFolder) -> None:
    async with showing(run, "9", (110, 30)) as (app, pilot):
        assert "esc Cancel" in await press(pilot, "slash", "q", "1")
        assert "q1" not in await press(pilot, "escape")
        assert app.current_mode == "logs"
        shown = (await press(pilot, "slash", "(", "enter")).splitlines()
        assert any("✗ not a regular expression: missing )" in line for line in shown)
        assert any(line.strip() == "(" for line in shown)  # the line stays open
        await press(pilot, "escape", "escape")
        assert app.current_mode == "runs"


async def test_levels_show_warnings_and_worse_then_errors_with_their_traceback(run: RunFolder) -> None:
    async with showing(run, "9") as (_, pilot):
        text = await press(pilot, "l")
        assert "line 4 of 4  warnings and worse" in text and "the loss is odd" in text
        text = await press(pilot, "l")
        assert "line 3 of 3  errors" in text and "odd" not in text and "OSError: ␛[31mno space" in text
        assert "line 302 of 302  all lines" in await press(pilot, "l")
        text = await press(pilot, "g", "9", "9", "enter", "l")
        assert "line 1 of 4" in text  # the next line that is left
        assert "/odd  1 match" in await press(pilot, "slash", *"odd", "enter")


async def test_a_level_without_lines_says_so_and_the_next_one_shows_the_line_again(run: RunFolder) -> None:
    """Keys come faster than the search's process answers, and a level may have no line at all."""
    run.log_file.write_text(
        "".join(line for line in run.log_file.read_text().splitlines(True) if line[:1] == "2").replace(
            "ERROR ", "INFO  "
        )
    )
    async with showing(run, "9") as (_, pilot):
        await press(pilot, "g", "1", "5", "0", "enter", "l")
        text = await press(pilot, "l")
        assert "No errors" in text and "line 0 of 0" in text
        assert "line 100 of 300" in await press(pilot, "l")  # that of the warning, not the first one


async def test_the_line_is_shown_again_when_a_slow_search_has_reached_it(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanoconsole.tui.log_searching.LogSearch", SearchInTime)
    async with showing(run, "9") as (_, pilot):
        await press(pilot, "g", "2", "0", "0", "enter")
        assert "Looking for warnings and worse" in await press(pilot, "l")
        SearchInTime.newest.answer()
        text = await press(pilot)
        assert "line 2 of 4" in text and "cannot save" in text.splitlines()[-2]


async def test_a_search_begins_behind_the_line_also_among_warnings(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanoconsole.tui.log_searching.LogSearch", SearchInTime)
    async with showing(run, "9") as (_, pilot):
        await press(pilot, "g", "2", "0", "0", "enter", "l")
        SearchInTime.newest.answer()
        assert "line 2 of 4" in await press(pilot)
        await press(pilot, "slash", *"odd|space", "enter")
        SearchInTime.newest.answer()
        text = await press(pilot)
        assert "line 4 of 4" in text and "match 2 of 2" in text


async def test_a_long_log_shows_its_end_at_once_and_is_looked_through_in_pieces(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pieces, "PIECE", 1000)
    async with showing(run, "9") as (app, pilot):
        screen = app.screen
        assert "line 302 of 302" in await press(pilot)
        screen._whole, screen._reading = False, True  # type: ignore[attr-defined]
        screen.show()  # type: ignore[attr-defined]
        text = screen.query_one(LogPane).render_line(3).text
        assert "INFO    step 2" in text  # as it was read at the beginning


async def test_a_log_that_begins_anew_is_read_anew(run: RunFolder) -> None:
    async with showing(run, "9") as (_, pilot):
        await press(pilot)
        run.log_file.write_text("only line\n")
        text = await press(pilot)
        assert "line 1 of 1" in text and "only line" in text and "step 300" not in text


@pytest.mark.parametrize("case", ["missing", "folder"])
async def test_no_log_is_said(case: str, root: Path) -> None:
    run = lay(root, "r", steps=5)
    run.log_file.unlink()
    if case == "folder":
        run.log_file.mkdir()
    async with showing(run, "9") as (_, pilot):
        text = await press(pilot)
        assert ("Is a directory" if case == "folder" else "Nothing in the log yet") in text
        await press(pilot, "n", "l", "f", "down", "end", "home", "pageup")  # no key does harm
