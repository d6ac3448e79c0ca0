"""`bench kernels` through a worker process: a report of this machine, and the reason for what is missing in it."""

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
