"""Runs in a folder that may only be read, as of another user or a snapshot, are looked at like one's own."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanoconsole.tui.modes import MODES
from tests import command_line
from tests.command_line import Nano
from tests.tui.run_scenes import press
from tests.tui.scenes import at_work, console, lay, look, seen

nano = command_line.nano
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let nothing be written below a folder, as on a file system mounted read-only (the tests may run as root)."""

    def freeze(folder: Path) -> None:
        place = folder.absolute()

        def refuse(path: object) -> None:
            if isinstance(path, str | Path) and Path(path).absolute().is_relative_to(place):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

        def guarded(module: Any, name: str, writes: Callable[..., bool] = lambda *_, **__: True) -> None:
            real = getattr(module, name)

            def call(path: Any, *given: Any, **named: Any) -> Any:
                if writes(*given, **named):
                    refuse(path)
                return real(path, *given, **named)

            monkeypatch.setattr(module, name, call)

        guarded(os, "open", lambda flags, *_, **__: bool(flags & WRITING))
        guarded(io, "open", lambda mode="r", *_, **__: any(sign in mode for sign in "wax+"))
        for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
            guarded(os, name)

    return freeze


async def test_every_screen_shows_a_run_at_work_in_it(root: Path, frozen: Callable[[Path], None]) -> None:
    run = lay(root, "busy", state="running", steps=60)
    with at_work(run):
        frozen(root)
        with pytest.raises(OSError, match="Read-only"):
            (root / "probe").write_text("")
        app = console(root)
        async with app.run_test(size=(100, 30)) as pilot:
            look(app)
            assert "busy" in await seen(pilot)
            await pilot.press("enter")
            for mode in MODES:
                text = await press(pilot, mode.number)
                assert f"{mode.number} {mode.label}" in text and "Read-only" not in text
            assert "following" in text  # the log
            await pilot.press("1", "a")
            await app.workers.wait_for_complete()
            assert "Read-only file system" in await seen(pilot)  # what would write says so in a line


def test_verbs_that_look_on_need_nothing_to_be_written(nano: Nano, frozen: Callable[[Path], None]) -> None:
    nano.root.mkdir()
    lay(nano.root, "done", steps=60)
    frozen(nano.root)
    for verb in (
        ("watch", "done"),
        ("runs", "list"),
        ("runs", "show", "done"),
        ("runs", "trash"),
        ("alerts", "check", "done"),
        ("samples", "done"),
        ("log", "done"),
        ("report", "done"),
    ):
        assert nano(*verb).code in (0, 1), verb
    refused = nano("runs", "delete", "done")
    assert refused.code != 0 and refused.err.count("\n") == 1 and "Read-only" in refused.err
