"""TensorBoard beside a run: on this machine only, for as long as the run, gone with whoever started it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from nanoconsole.services.tensorboard import HOST, free_port
from nanocore.errors import ResourceError
from nanocore.runs.layout import RunFolder
from nanocore.runs.steer import force_stop
from tests import command_line
from tests.command_line import Nano, start_console
from tests.run_helpers import make_run, wait_for

nano = command_line.nano


def listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def test_the_next_free_port_is_taken_and_a_taken_one_refused(nano: Nano, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        assert free_port(taken) > taken
        with pytest.raises(ResourceError, match="taken"):
            free_port(taken, 1)
        make_run(tmp_path, "a-run")
        refused = nano("tensorboard", "a-run", "--port", str(taken))
        assert (refused.code, str(taken) in refused.err) == (6, True)


@pytest.mark.slow
def test_it_serves_loopback_beside_a_detached_run_and_ends_with_it(tmp_path: Path) -> None:
    arguments = ("--detach", "--tensorboard", "--json", "--set", "training.steps=1000000")
    console = start_console(tmp_path, "train", "tiny-cpu", *arguments)
    out, err = console.communicate(timeout=60)
    facts = json.loads(out)
    assert facts["tensorboard"] in err
    port = int(facts["tensorboard"].rsplit(":", 1)[1].strip("/"))
    assert facts["tensorboard"] == f"http://127.0.0.1:{port}/"
    with urllib.request.urlopen(f"{facts['tensorboard']}data/environment") as answer:
        assert json.loads(answer.read())["data_location"].endswith(f"{facts['run']}/tensorboard")
    assert not any(listens(address, port) for address in outside_addresses())
    force_stop(RunFolder(tmp_path / facts["run"]), patience=0)
    wait_for(lambda: not listens(HOST, port), "TensorBoard's end")


@pytest.mark.slow
def test_one_of_the_console_is_gone_with_it_even_by_kill_9(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a-run")
    text = """
import sys, time
from pathlib import Path
from nanocore.runs.layout import RunFolder
from nanoconsole.services.boards import Boards
Boards(lambda words, fault: print(words, flush=True)).start(RunFolder(Path(sys.argv[1])))
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", text, str(run.path)], stdout=subprocess.PIPE, text=True) as console:
        assert console.stdout is not None
        told = console.stdout.readline()
        assert told.startswith("TensorBoard of a-run: http://127.0.0.1:")
        port = int(told.rsplit(":", 1)[1].strip("/\n"))
        assert listens(HOST, port)
        console.kill()
    wait_for(lambda: not listens(HOST, port), "TensorBoard's end")


def outside_addresses() -> list[str]:
    """Addresses of this machine that others could reach."""
    import psutil

    addresses = [address for card in psutil.net_if_addrs().values() for address in card]
    return [address.address for address in addresses if address.family == socket.AF_INET and address.address != HOST]
