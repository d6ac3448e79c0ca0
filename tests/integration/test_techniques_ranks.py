"""Every technique on two gloo processes: the curve of one process, and the same weights on both to the bit."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from nanocore.train.distributed import World
from tests.techniques import CASES, HEAD_FILTER, Trace, fixed_reference, train_steps

STEPS = 10  # whose losses are those of one process
CLOSE = 4  # of them have the same gradient norms and terms; later a rounding flip may have moved a code or a choice
# Two micro-batches on each process; learning rates so small that rounding flips of the quantisers stay rare.
GENTLE = (
    f"training.steps={STEPS}", "training.accumulation=2",
    "optimizer.matrix_lr=0.001", "optimizer.embedding_lr=0.001", "optimizer.scalar_lr=0.001",
)  # fmt: skip
GATE = ("loop.count=3", "loop.before=1", "loop.stage=gate")
EXCESS = (*HEAD_FILTER, "collider.importance=excess", "collider.reference=none")
RUNS = {**CASES, "gate": GATE, "collider-excess": EXCESS}
QUICK = ("e3-full", "mtp+collider-full", "loop+mtp+moe", "moe+delta+mhc4+int8", "galore-stochastic", "gate")

# Both processes are forked after all imports, which cost seconds (an optimizer's more than torch's own), and end without
# Python's long farewell; the port is looked for at the last moment.
LIMIT = 300  # seconds: one launch trains 35 techniques, on a busy machine too
pytestmark = pytest.mark.timeout(LIMIT)
SCRIPT = """
import json, os, socket, sys, torch
from nanocore.train import distributed
from tests.integration.test_techniques_ranks import facts, first_steps
torch.set_num_threads(1)
torch.optim.AdamW([torch.zeros(1)])
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}
other = os.fork()
os.environ["RANK"] = "0" if other else "1"
world = distributed.join(torch.device("cpu"))
folder, *names = sys.argv[1:]
said = {name: facts(first_steps(name, world)) for name in names}
with open(f"{folder}/rank-{world.rank}.json", "w") as file:
    json.dump(said, file)
distributed.leave()
os._exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) if other else 0)
"""

Facts = dict[str, dict[str, Any]]  # by technique


def first_steps(name: str, world: World | None = None) -> Trace:
    return train_steps((*RUNS[name], *GENTLE), count=STEPS, world=world, reference=reference_of(name))


def reference_of(name: str) -> Any:
    return fixed_reference if RUNS[name] is EXCESS else None


def facts(trace: Trace) -> dict[str, Any]:
    """What two processes must agree on, as JSON."""
    digest = hashlib.sha256(b"".join(trace.tensors().values())).hexdigest()
    return {
        "digest": digest,
        "ce": [result.ce for result in trace.results],
        "grad_norm": [result.grad_norm for result in trace.results],
        "parts": [result.parts for result in trace.results],
    }


def on_two_processes(folder: Path, names: Iterable[str]) -> tuple[Facts, Facts]:
    """What each of two processes says of these techniques."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *names],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT - 10,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    return first, second


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> tuple[Facts, Facts]:
    return on_two_processes(tmp_path_factory.mktemp("others"), RUNS.keys() - set(QUICK))


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one_and_equal_weights(tmp_path: Path) -> None:
    first, second = on_two_processes(tmp_path, QUICK)  # one launch for all: starting torch twice is what takes time
    for name in QUICK:
        check(name, first, second)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RUNS if name not in QUICK])
def test_two_processes_give_the_curve_of_one_with_every_other_technique(name: str, others: tuple[Facts, Facts]) -> None:
    check(name, *others)


def check(name: str, first: Facts, second: Facts) -> None:
    one, two = facts(first_steps(name)), first[name]
    assert two == second[name]
    # FP4 shares scales between tokens that are computed together, and each process draws its own random numbers: equal
    # is then only what the noise of quantised gradients leaves equal.
    noisy = name.startswith("fp4")
    assert len(two["ce"]) == STEPS
    assert two["ce"] == pytest.approx(one["ce"], rel=2e-3 if noisy else 1e-3)
    assert two["grad_norm"][:CLOSE] == pytest.approx(one["grad_norm"][:CLOSE], rel=0.3 if noisy else 5e-3)
    for found, expected in zip(two["parts"][:CLOSE], one["parts"][:CLOSE], strict=True):
        assert found == (pytest.approx(expected, rel=0.5) if noisy else pytest.approx(expected, rel=1e-3, abs=1e-6))
