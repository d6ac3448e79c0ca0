"""Two gloo processes: what they share arrives whole on both; alone, nothing happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from nanocore.errors import UsageError
from nanocore.train import distributed
from nanocore.train.distributed import World, agree, broadcast_json, join, leave, sum_gradients, sum_numbers

# Two ranks as torchrun would start them. Forked after the import, which costs seconds; the port is looked for at the last
# moment, so that nobody else takes it meanwhile.
SCRIPT = """
import json, os, socket, sys, torch
from nanocore.train import distributed as d
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}
other = os.fork()
os.environ["RANK"] = "0" if other else "1"
world = d.join(torch.device("cpu"))
mine = world.rank + 1
d.BUCKET_BYTES = 16  # three buckets for four small gradients
parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (3,), (1,), ())]
for index, parameter in enumerate(parameters[:3]):
    parameter.grad = torch.arange(parameter.numel()).view(parameter.shape) * float(mine) + index
if world.rank == 1:
    parameters[1].grad = None  # a rank without rows
d.sum_gradients(parameters)
said = json.dumps({
    "world": [world.rank, world.size, world.device.type],
    "gradients": [parameter.grad.tolist() for parameter in parameters],
    "numbers": d.sum_numbers([0.1 * mine, 2.0**53], world),
    "agreed": d.agree([world.rank, 0, 130 * world.rank, -5]),
    "heard": d.broadcast_json({"text": "h\\u00e9", "steps": 12345678901} if world.rank == 0 else None),
})
os.write(1, (said + chr(10)).encode())  # one write of one line: both processes share this output
d.leave()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) if other else 0)
"""


@pytest.mark.slow
def test_two_ranks_sum_agree_and_hear_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = sorted((json.loads(line) for line in done.stdout.splitlines()), key=lambda said: said["world"])
    assert (first.pop("world"), second.pop("world")) == ([0, 2, "cpu"], [1, 2, "cpu"])
    assert first == second
    assert first["gradients"] == [[[0.0, 3.0], [6.0, 9.0]], [1.0, 2.0, 3.0], [4.0], 0.0]
    assert first["numbers"] == [pytest.approx(0.3), 2.0**54]
    assert first["agreed"] == [1, 0, 130, -5]
    assert first["heard"] == {"text": "hé", "steps": 12345678901}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def test_alone_there_is_no_process_group_and_nothing_changes(alone: None) -> None:
    world = join(torch.device("cpu"))
    assert world == World(0, 1, torch.device("cpu"))
    assert not distributed.dist.is_initialized()
    parameter = torch.nn.Parameter(torch.zeros(2))
    sum_gradients([parameter])
    assert parameter.grad is None
    assert sum_numbers([1.5], world) == [1.5] and agree([3]) == [3] and broadcast_json({"a": None}) == {"a": None}
    leave()


def test_an_environment_that_is_not_torchruns_is_told(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(UsageError, match=r"\$WORLD_SIZE: 'two' is not a number"):
        join(torch.device("cpu"))
