"""`bench` with real processes: kernels through a worker, and the console in terminals of its own."""

from __future__ import annotations

import pytest
import torch

from nanoconsole.cli import bench
from nanocore.bench.kernels import PARTS
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano


@pytest.mark.slow
def test_a_report_comes_back_with_the_machine_in_it(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOKERNELS_NATIVE", "0")
    shown = nano("bench", "kernels", "--quick", "--only", "limits", "--threads", "1", "--json")
    assert shown.code == 0, shown.err
    report = shown.data
    assert "gemv" not in report and report["threads"] == [1]
    assert report["machine"]["active_path"] == "torch"
    assert report["machine"]["versions"]["torch"] == torch.__version__
    assert report["limits"]["skipped"] == "not run: no native kernels: switched off by NANOKERNELS_NATIVE=0"


def test_the_console_offers_the_parts_there_are() -> None:
    assert bench.PARTS == PARTS


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_console_is_measured_in_terminals_of_its_own(nano: Nano) -> None:
    shown = nano("bench", "console", "--quick", "--json")
    assert shown.code == 0, shown.err
    rows = {row["figure"]: row for row in shown.data["rows"]}
    assert len(rows) == 29 and all(row["value"] >= 0 for row in rows.values())
    assert rows["first frame"]["ratio"] == rows["first frame"]["value"] / rows["first frame"]["empty_app"]
    assert rows["20,000 records of 4 metrics: all"]["value"] > 0 and rows["bytes to the terminal"]["value"] > 0
