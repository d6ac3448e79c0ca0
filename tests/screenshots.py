"""Regenerate screenshots/*.svg, one of every screen, from real runs: python -m tests.screenshots [--runs DIR] [--to DIR].

Without --runs two small runs are trained first, one after the other, for some minutes, in a folder of their own. The
newest run of the folder is the one that the screens of a run show. Chat talks to its model, Validate runs all checks.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, cast

from textual.pilot import Pilot

from nanoconsole.services.launcher import launch
from nanoconsole.tui.app import ConsoleApp
from nanocore.config.resolve import resolve
from nanocore.runs.layout import list_runs
from nanocore.runs.steer import wait_until_ended

OUTPUT = Path(__file__).parents[1] / "screenshots"
SIZE = (150, 44)
LONGEST = 300.0  # seconds that a screen may take, on any machine
RUNS = {"tiny-cpu": [], "two-tokens-ahead": ["mtp.horizon=2"]}
LENGTH = [
    "training.steps=220",
    "evaluation.every=40",
    "evaluation.sample_every=40",
    "checkpoint.every=80",
    "mhc.every=10",
]


class Scene(NamedTuple):
    """A picture: the keys that lead to it, and what stands there (a regular expression) when it can be taken."""

    name: str
    keys: str
    awaited: str


SCENES = (
    Scene("runs", "1", "finished"),
    Scene("launch", "2 down", "streams"),
    Scene("live", "3", "gradient norm"),
    Scene("layers", "4", "healthy"),
    Scene("compare", "1 space space C", "two-tokens-ahead"),
    Scene("samples", "6", r"sample \d+ of"),
    Scene("chat", "1 K enter i i m p o r t enter", r"tokens, .* tok/s"),
    Scene("validate", "escape 8 r", r"\d\d passed"),
    Scene("log", "9", "INFO"),
)


def train(root: Path, length: list[str]) -> None:
    for name, sets in RUNS.items():
        launched = launch(resolve("tiny-cpu", [*length, *sets]), root=root, preset="tiny-cpu", name=name)
        wait_until_ended(launched.run)


async def take(root: Path, folder: Path) -> None:
    app = ConsoleApp(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(2.0)
        for scene in SCENES:
            await play(pilot, scene)
            picture = re.sub(r"terminal-\d+-", "terminal-", app.export_screenshot(title="nanoconsole"))
            (folder / f"{scene.name}.svg").write_text(picture, encoding="utf-8")
            print(folder.name, scene.name)


async def play(pilot: Pilot[None], scene: Scene) -> None:
    """Press a scene's keys and wait until it is there. Raises TimeoutError when it never is."""
    for key in scene.keys.split():
        await pilot.press(key)
        await pilot.pause(2.5)  # long enough for the follower to read the run
    begin = time.monotonic()
    while not re.search(scene.awaited, text(pilot)):
        if time.monotonic() - begin > LONGEST:
            raise TimeoutError(f"{scene.name}: {scene.awaited!r} never stood there:\n{text(pilot)}")
        await pilot.pause(0.5)
    await pilot.pause(1.0)


def text(pilot: Pilot[None]) -> str:
    """The screen, a line a row."""
    return "\n".join(strip.text for strip in cast("ConsoleApp", pilot.app).screen._compositor.render_strips())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--to", type=Path, default=OUTPUT)
    given = parser.parse_args()
    root = given.runs or Path(tempfile.mkdtemp()) / "runs"
    if not root.is_dir() or not list_runs(root):
        train(root, LENGTH)
    folder = given.to.absolute()
    folder.mkdir(exist_ok=True)
    os.chdir(root.parent)  # so that no picture shows where this machine keeps its runs
    asyncio.run(take(Path(root.name), folder))


if __name__ == "__main__":
    main()
