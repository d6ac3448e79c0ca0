"""A checkpoint written for other programs, by a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nanocore.errors import NanoError, restored
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line


def export(run: RunFolder, step: int, options: Mapping[str, str], output: str = "") -> str:
    """Write the checkpoint of a step and return the path; `options` as `nanoconsole export` takes them.

    Without `output` it goes to the run's exports. Waits for the worker; raises its NanoError.
    """
    from nanoconsole.services.workers import Worker

    request = {"verb": "export", "source": str(run.path.absolute()), "step": step, **options}
    request |= {"output": str(Path(output).expanduser().absolute())} if output else {}
    worker = Worker(request)
    try:
        for answer in worker:
            if answer.get("kind") == "error":
                raise restored(answer["type"], answer["message"], answer["exit_code"])
            if answer.get("kind") == "done":
                return sanitize_line(str(answer["path"]))
    finally:
        worker.cancel()
    raise NanoError("the worker process ended without an answer")
