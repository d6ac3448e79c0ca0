"""`python -m tests.faults.fuzz`: damaged files at length, with what became of them."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.faults.fuzz.formats import heavy, light
from tests.faults.fuzz.harness import fuzz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="files of each format")
    parser.add_argument("--only", action="append", default=[], help="a format; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="number of the first file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as place:
        for kind in [*light(Path(made)), *heavy(Path(made))]:
            if not asked.only or kind.name in asked.only:
                began = time.monotonic()
                tally = fuzz(kind, asked.count, Path(place), seed=asked.seed)
                print(f"{kind.name}: {tally.line()}; {time.monotonic() - began:.0f} s in all", flush=True)


if __name__ == "__main__":
    main()
