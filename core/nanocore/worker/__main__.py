"""`python -m nanocore.worker`: answer the one request on stdin."""

from __future__ import annotations

import logging
import sys
import traceback
from importlib import import_module

from nanocore.errors import NanoError, ResourceError, UsageError
from nanocore.worker.channel import Channel, Record

VERBS = {  # each is imported, with what it needs, only when it is asked for
    "generate": "nanocore.worker.text:generate",
    "chat": "nanocore.worker.text:chat",
    "data-prepare": "nanocore.worker.corpus:prepare",
    "data-inspect": "nanocore.worker.corpus:inspect",
    "inspect": "nanocore.worker.contents:inspect",
    "export": "nanocore.worker.export:export",
    "doctor": "nanocore.worker.doctor:doctor",
    "runs-verify": "nanocore.worker.upkeep:verify",
    "runs-repair": "nanocore.worker.upkeep:repair",
    "runs-pack": "nanocore.worker.upkeep:pack",
    "runs-unpack": "nanocore.worker.upkeep:unpack",
    "validate": "nanocore.worker.validate:validate",
    "bench-kernels": "nanocore.worker.bench:kernels",
    "bench-memory": "nanocore.worker.bench:memory",
    "bench-train": "nanocore.worker.bench:train",
}


class Notices(logging.Handler):
    """What takes long and was not asked for, as the compiling of the kernels, is told as it happens: nobody reads stderr."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(logging.WARNING)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """One answer of kind `notice`."""
        self._channel.answer({"kind": "notice", "text": record.getMessage()})


def main() -> int:
    """Returns the exit code."""
    channel = Channel()
    try:
        request = channel.request()
        _call(request, channel)
        return 0
    except NanoError as error:
        return _fail(channel, error)
    except MemoryError:
        return _fail(channel, ResourceError("out of memory"))
    except Exception as error:
        traceback.print_exc()
        return _fail(channel, NanoError(f"unexpected error: {type(error).__name__}: {error}"))


def _call(request: Record, channel: Channel) -> None:
    place = VERBS.get(str(request.get("verb")))
    if place is None:
        raise UsageError(f"the request names none of the verbs {', '.join(VERBS)}")
    channel.listen()
    logging.getLogger("nanokernels").addHandler(Notices(channel))
    module, _, function = place.partition(":")
    getattr(import_module(module), function)(request, channel)


def _fail(channel: Channel, error: NanoError) -> int:
    """Report an error as the last answer; its exit code."""
    channel.answer({"kind": "error", "type": type(error).__name__, "message": str(error), "exit_code": error.exit_code})
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
