"""What the launch environment is worth: python -m tests.bench.environment [--rounds 5] [--busy].

Each round trains tiny-cpu in a fresh process under every environment in turn, on two threads; medians over the rounds are
printed. `--busy` keeps one core occupied meanwhile, as another program would.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nanocore.runs.spawn import THREADING

ALLOCATOR = {key: value for key, value in THREADING.items() if key.startswith("MALLOC_")}
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "torch's own": {},
    "threads sleep at once": {**PASSIVE, "GOMP_SPINCOUNT": "0"},
    "sleep at once, allocator": {**PASSIVE, "GOMP_SPINCOUNT": "0", **ALLOCATOR},
    "as launched": THREADING,
    "a longer look (20000), allocator": {**PASSIVE, "GOMP_SPINCOUNT": "20000", **ALLOCATOR},
}


CHILD = """
from nanocore.bench.train import bench_train
report = bench_train("tiny-cpu", [], threads=[2], modes=["eager"], rounds=4, progress=lambda _: None)
print(report["rows"][0]["step_seconds"])
"""


def step_milliseconds(environment: dict[str, str]) -> float:
    """Median step time of one fresh process, in which tiny-cpu trains in turn with the other sides of `bench train`."""
    inherited = {key: value for key, value in os.environ.items() if key not in THREADING}
    command = [sys.executable, "-c", CHILD]
    done = subprocess.run(command, env={**inherited, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return 1000.0 * float(done.stdout)


@contextmanager
def busy_core(wanted: bool) -> Iterator[None]:
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if wanted else None
    try:
        yield
    finally:
        if other is not None:
            other.kill()
            other.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", action="store_true", help="keep one core occupied")
    arguments = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in ENVIRONMENTS}
    with busy_core(arguments.busy):
        for _ in range(arguments.rounds):
            for name, environment in ENVIRONMENTS.items():
                found[name].append(step_milliseconds(environment))
    for name, times in found.items():
        middle, least, most = statistics.median(times), min(times), max(times)
        print(f"{name:<34} {middle:6.0f} ms a step, median of {len(times)} ({least:.0f} to {most:.0f})")


if __name__ == "__main__":
    main()
