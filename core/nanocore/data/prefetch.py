"""Batches made ahead of the trainer by threads, in the order of their plans whatever the number of threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any, Generic, TypeVar

from nanocore.config.schema import Config
from nanocore.data.batch import Batch
from nanocore.data.prepare import Corpus
from nanocore.data.stream import Plan, fetch, plans

P = TypeVar("P")
B = TypeVar("B")


class Prefetcher(Generic[P, B]):
    """Yields (batch, state) for each (plan, state), with up to `depth` batches being made or ready.

    Plans are drawn in the caller's thread, so their order is fixed; threads only turn them into batches. The
    state that comes with a batch is the one to save once that batch was used: what was made ahead is made again.

    Attributes:
        waited: seconds the last `next` waited for its batch.
    """

    def __init__(self, plans: Iterator[tuple[P, Any]], fetch: Callable[[P], B], *, workers: int, depth: int) -> None:
        self.waited = 0.0
        self._plans, self._fetch = plans, fetch
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batches") if workers else None
        self._depth = depth if workers else 1
        self._ahead: deque[tuple[Callable[[], B], Any]] = deque()
        self._fill()

    def next(self) -> tuple[B, Any]:
        """The next batch and the state after it. Raises what making it raised, each time it is called."""
        began = monotonic()
        result, state = self._ahead[0]
        batch = result()
        self._ahead.popleft()
        self._fill()
        self.waited = monotonic() - began
        return batch, state

    def close(self) -> None:
        """Drops what was made ahead and ends the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Prefetcher[P, B]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self) -> None:
        while len(self._ahead) < self._depth:
            plan, state = next(self._plans)
            work = partial(self._fetch, plan)
            self._ahead.append((self._pool.submit(work).result if self._pool else work, state))


def open_loader(corpus: Corpus, config: Config, state: dict | None = None) -> Prefetcher[Plan, Batch]:
    """The training batches as the configuration wants them made; see `stream.batches` for their order."""

    def make(plan: Plan) -> Batch:
        return fetch(corpus, config, plan)

    ahead = plans(corpus, config, state)
    return Prefetcher(ahead, make, workers=config.data.workers, depth=config.data.prefetch)
