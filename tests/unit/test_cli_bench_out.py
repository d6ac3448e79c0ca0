"""`bench ... --out FILE`: what was measured at some length is lost neither by its file nor by its reader."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nanoconsole.cli import bench_result
from nanoconsole.services.reports import files
from nanocore.errors import ResourceError
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano

SPLIT = {"data_wait": 0.0001, "forward": 0.1, "backward": 0.15, "optimizer": 0.05}
ROW = {"model": "plain", "mode": "eager", "threads": 1, "parameters": 10, "tokens_per_second": 4331.4, "step_seconds": 0.3, "parts": SPLIT, "mfu": None, "against_plain": 1.5, "reason": ""}  # fmt: skip
MACHINE = {"device": {"device_name": "A CPU", "dtype": "float32"}, "peak_flops": None}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The requests; the answer to each is one row of `bench train`."""
    requests: list[dict[str, Any]] = []

    def answers(request: dict[str, Any], take: Any) -> dict[str, Any]:
        requests.append(request)
        return {"kind": "done", "report": {"preset": "tiny-cpu", "machine": MACHINE, "rows": [ROW]}}

    monkeypatch.setattr(bench_result, "answers", answers)
    return requests


def test_a_result_is_kept_beside_its_tables(nano: Nano, asked: list[dict[str, Any]], tmp_path: Path) -> None:
    kept = tmp_path / "train.json"
    shown = nano("bench", "train", "--threads", "1", "--out", str(kept))
    assert "tok/s" in shown.out and f"wrote {kept}" in shown.err
    found = json.loads(kept.read_text())
    assert (found["bench"], found["rows"], found["command"][-2]) == ("train", [ROW], "--out")
    assert nano("bench", "compare", str(kept), str(kept)).code == 0
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for wrong in (tmp_path, tmp_path / "none" / "train.json", pipe):
        refused = nano("bench", "memory", "--out", str(wrong))
        assert (refused.code, refused.out, len(asked)) == (2, "", 1)


def test_where_nothing_can_be_written_nothing_is_measured(
    nano: Nano, asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "train.json"
    for closed in (tmp_path, kept):  # the folder, before there is a file; then the file in it
        monkeypatch.setattr(os, "access", lambda path, mode, closed=closed: path != closed or not mode & os.W_OK)
        refused = nano("bench", "train", "--threads", "1", "--out", str(kept))
        assert (refused.code, refused.out, asked) == (6, "", [])
        assert refused.err == f"nanoconsole: --out {kept}: cannot be written; name a file that you may write\n"
        kept.write_text("earlier")


def test_what_cannot_be_written_is_shown_and_what_cannot_be_shown_is_written(
    nano: Nano, asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ResourceError("cannot be written: No space left on device")

    def closed(_: object) -> None:
        raise BrokenPipeError

    kept = tmp_path / "train.json"
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_whole", full)
        shown = nano("bench", "train", "--threads", "1", "--out", str(kept))
        assert shown.code == 6 and "tok/s" in shown.out and "No space left" in shown.err
    monkeypatch.setattr(bench_result, "emit", closed)
    nano("bench", "train", "--threads", "1", "--out", str(kept), "--json")
    assert json.loads(kept.read_text())["rows"] == [ROW]
