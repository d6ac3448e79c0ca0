"""Regenerate screenshots/*.svg from real screens of a real run: python -m tests.screenshots [--runs DIR].

Without --runs the preset tiny-cpu is trained first, for a minute or two, in a folder of its own. The newest run of the
folder is the one on the Live screen.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import tempfile
from pathlib import Path

from nanoconsole.services.launcher import launch
from nanoconsole.tui.app import ConsoleApp
from nanoconsole.tui.modes import MODES
from nanocore.config.resolve import resolve
from nanocore.runs.layout import list_runs
from nanocore.runs.steer import wait_until_ended

OUTPUT = Path(__file__).parents[1] / "screenshots"
SIZE = (150, 44)


def train(root: Path) -> None:
    config = resolve("tiny-cpu", ["training.steps=150", "evaluation.every=50"])
    launched = launch(config, root=root, preset="tiny-cpu")
    wait_until_ended(launched.run)


async def take(root: Path) -> None:
    app = ConsoleApp(root)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(2.0)
        for mode in MODES:
            await pilot.press(mode.number)
            await pilot.pause(2.5)  # long enough for the follower to read the run
            picture = re.sub(r"terminal-\d+-", "terminal-", app.export_screenshot(title="nanoconsole"))
            (OUTPUT / f"{mode.name}.svg").write_text(picture, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path)
    root = parser.parse_args().runs or Path(tempfile.mkdtemp()) / "runs"
    if not root.is_dir() or not list_runs(root):
        train(root)
    OUTPUT.mkdir(exist_ok=True)
    os.chdir(root.parent)  # so that no picture shows where this machine keeps its runs
    asyncio.run(take(Path(root.name)))
    print("\n".join(str(path.relative_to(OUTPUT.parent)) for path in sorted(OUTPUT.glob("*.svg"))))


if __name__ == "__main__":
    main()
