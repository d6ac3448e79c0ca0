"""Threads of the native decoder wait for each other asleep; that they do wait, test_infer_native.py shows."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanocore.infer.native_decoder import NativeDecoder
from nanokernels import native
from tests.native_models import build, random_tokens

pytestmark = pytest.mark.skipif(native.find().library is None, reason=f"not run: {native.find().reason}")
READINGS = 20
LAYERS = 3  # of every model of tests.native_models


@pytest.fixture
def one_processor() -> Iterator[None]:
    """All threads of this process share a processor, those that are started later too."""
    allowed = os.sched_getaffinity(0)
    keep_to({min(allowed)})
    yield
    keep_to(allowed)


def keep_to(processors: set[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), processors)


def test_a_thread_that_waits_gives_its_processor_to_the_one_it_waits_for(one_processor: None) -> None:
    """Every barrier of every layer is then a sleep of one thread. Threads that spin instead sleep only where a reading
    begins and ends, and at each barrier the scheduler has to take the processor away from them."""
    decoder = NativeDecoder(build(), threads=2)
    decoder.forward([1])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    for token in random_tokens(READINGS):
        decoder.forward([token])
    sleeps = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
    assert sleeps > 3 * LAYERS * READINGS
