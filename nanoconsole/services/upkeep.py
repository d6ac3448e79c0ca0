"""Keeping runs in order from a screen: a worker process verifies, repairs, packs or unpacks, and tells how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanoconsole.services.format import size
from nanocore.errors import ResourceError, restored
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line

if TYPE_CHECKING:
    from nanoconsole.services.workers import Worker

Answer = Mapping[str, Any]


def verifying(runs: Sequence[RunFolder]) -> dict[str, Any]:
    """The request to read everything in runs."""
    return {"verb": "runs-verify", "runs": [str(run.path.absolute()) for run in runs]}


def repairing(run: RunFolder, *, dry: bool) -> dict[str, Any]:
    """The request to put a run in order; with `dry` only to say what would be done."""
    return {"verb": "runs-repair", "run": str(run.path.absolute()), "dry": dry}


def packing(run: RunFolder, file: str) -> dict[str, Any]:
    """The request to pack a run into the archive that somebody typed."""
    return {"verb": "runs-pack", "run": str(run.path.absolute()), "path": str(place_of(file))}


def unpacking(root: Path, file: str, name: str) -> dict[str, Any]:
    """The request to make a run under `root` of an archive; `name` "" for its own."""
    return {"verb": "runs-unpack", "root": str(root.absolute()), "path": str(place_of(file)), "name": name}


def place_of(typed: str) -> Path:
    """What a typed path means: `~` is the home folder, anything relative lies where the console was started."""
    return Path(typed.strip()).expanduser().absolute()


class Errand:
    """One piece of work in a worker. One thread runs it, any other may end it."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._worker: Worker | None = None
        self._ended = False

    def run(self, tell: Callable[[Answer], object]) -> None:
        """Tell every answer, from this thread; returns at the end, or soon after `end`. Raises the worker's NanoError."""
        from nanoconsole.services.workers import Worker

        try:
            worker = self._worker = Worker(self._request)
        except OSError as error:
            raise ResourceError(f"no worker could be started: {error.strerror}") from None
        if self._ended:
            worker.cancel()
        for answer in worker:
            if answer.get("kind") == "error":
                raise restored(answer["type"], sanitize_line(answer["message"]), answer["exit_code"])
            tell(answer)

    def end(self) -> None:
        """End it; what was half done is undone. Waits for the worker."""
        self._ended = True
        if self._worker is not None:
            self._worker.cancel()


def progress_words(answer: Answer) -> str:
    """How far work is: `writing 1.20 GiB of 3.40 GiB …`."""
    done = f" {size(answer['done'])} of {size(answer['total'])}" if answer["total"] else ""
    return f"{sanitize_line(str(answer['phase']))}{done} …"


def packed_words(run: str, answer: Answer) -> str:
    """What was packed, and what had to stay behind."""
    words = f"packed {run}: {answer['path']}, {answer['files']} files, {size(answer['bytes'])}"
    left = [f"{name}: {reason}" for name, reason in answer["left_out"].items()]
    more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
    return f"{words}; left out: {left[0]}{more}" if left else words


def repaired_words(run: str, actions: Sequence[Mapping[str, Any]]) -> str:
    """What a repair did: how many parts were moved, swept, written anew, or stay broken."""
    counts = Counter(action["done"] for action in actions)
    return f"{run}: {', '.join(f'{count} {done}' for done, count in counts.items())}"
