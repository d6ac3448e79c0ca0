"""The pictures of the documentation can be taken again: every screen of a real console over real runs."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests import screenshots

LENGTH = [
    "training.steps=24",
    "evaluation.every=8",
    "evaluation.sample_every=8",
    "checkpoint.every=8",
    "mhc.every=4",
]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_screen_has_its_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "pictures"
    folder.mkdir()
    screenshots.train(Path("runs"), LENGTH)
    asyncio.run(screenshots.take(Path("runs"), folder))
    taken = {path.stem for path in folder.iterdir()}
    assert (
        taken
        == {path.stem for path in screenshots.OUTPUT.glob("*.svg")}
        == {scene.name for scene in screenshots.SCENES}
    )
    assert all(ElementTree.parse(path).getroot().tag.endswith("svg") for path in folder.iterdir())
