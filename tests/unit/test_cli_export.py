"""`export` on the command line, with a worker whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano
DONE = {
    "kind": "done", "path": "/x/m.gguf", "architecture": "nanoconsole", "bytes": 2048, "types": {"F32": 3, "TQ2_0": 4},
    "notes": ["only here"], "dropped": ["heads"], "reason": "because",
}  # fmt: skip


class Answering:
    """Remembers the request."""

    request: dict[str, Any] = {}

    def __init__(self, request: dict[str, Any]) -> None:
        type(self).request = request

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield dict(DONE)

    def cancel(self) -> None: ...


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, nano: Nano) -> Path:
    monkeypatch.setattr("nanoconsole.services.workers.Worker", Answering)
    return create_run(nano.root, Config(), name="a-run").path


def test_a_run_its_folder_and_a_checkpoint_are_taken(
    nano: Nano, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = create_run(tmp_path / "elsewhere", Config(), name="other").path
    checkpoint = other / "checkpoints" / "step-00000004"
    checkpoint.mkdir(parents=True, exist_ok=True)
    for name, source in {"a-run": run, str(other): other, str(checkpoint): checkpoint}.items():
        assert nano("export", name).code == 0
        assert Answering.request["source"] == str(source), name
    monkeypatch.chdir(checkpoint.parent)
    assert nano("export", "step-00000004").code == 0 and Answering.request["source"] == str(checkpoint)
    nano("export", "a-run", "--step", "best", "--scheme", "tq1_0", "--output", "here.gguf")
    assert {key: Answering.request.get(key) for key in ("step", "scheme", "output", "license")} == {
        "step": "best", "scheme": "tq1_0", "output": str(checkpoint.parent / "here.gguf"), "license": None,
    }  # fmt: skip


def test_the_report_is_the_architecture_the_notes_and_what_was_left_out(nano: Nano, run: Path) -> None:
    told = nano("export", "a-run")
    assert told.err.splitlines() == ["nanoconsole, 2.00 KiB: 3 F32, 4 TQ2_0", "only here", "left out: heads"]
    assert told.out == "/x/m.gguf\n"
    assert nano("export", "a-run", "--json").data == {key: value for key, value in DONE.items() if key != "kind"}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--to", "hf", "--scheme", "tq1_0"), "--scheme: means nothing for --to hf; leave it out, or use --to gguf"),
        (("--form", "bitnet"), "--form: means nothing for --to gguf; leave it out, or use --to hf"),
        (
            ("--to", "mhc", "--license", "mit"),
            "--license: means nothing for --to mhc; leave it out, or use --to gguf or hf",
        ),
        (("--license", " "), "--license: is empty; leave it out"),
        (("--license", "\udcff"), "--license: is not UTF-8 text; give it in UTF-8"),
        (("--output", "\udcff"), "--output: is not UTF-8 text; give it in UTF-8"),
    ],
)
def test_an_option_that_means_nothing_is_refused_with_what_to_use(
    options: tuple[str, ...], line: str, nano: Nano, run: Path
) -> None:
    result = nano("export", "a-run", *options)
    assert (result.code, result.out) == (2, "") and result.err.strip().removeprefix("nanoconsole: ") == line
