"""What the checks of one validation share: a folder for the runs they make, its helpers, and how thorough to be.

No torch here: a trainer that runs beside the checks is started before they load it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from nanocore.errors import UsageError
from nanocore.runs.create import create_run
from nanocore.runs.layout import RunFolder
from nanocore.validation.tables import small_config


class Workshop:
    """Runs lie in `folder`, which is removed at the end unless it was asked to be kept. `full` asks for the long form."""

    def __init__(self, *, full: bool = False, keep: Path | None = None) -> None:
        self.full, self._kept = full, keep is not None
        self.folder = Path(tempfile.mkdtemp(prefix="nanoconsole-validate-")) if keep is None else _claimed(keep)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._shared: dict[str, Any] = {}

    def new_run(self, name: str, *sets: str) -> RunFolder:
        """A run of the small configuration with these `--set` pairs; made anew where one of that name is there."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return create_run(self.folder, small_config(*sets), name=name, preset="validate", argv=("validate",))

    def start(self, run: RunFolder) -> subprocess.Popen[bytes]:
        """A trainer for the run in a process of its own, on one thread; it ends with the workshop at the latest."""
        from nanocore.runs.spawn import start_detached

        process = start_detached("nanocore.train", run.path, run.log_file, threads=1)
        self._processes.append(process)
        return process

    def share(self, name: str, value: Any) -> None:
        """Leave something for the check that began it."""
        self._shared[name] = value

    def shared(self, name: str) -> Any:
        """What was left under a name; None where nothing was."""
        return self._shared.get(name)

    def close(self) -> None:
        """End what still runs; remove the folder unless it is kept. Also called as the process ends early."""
        for process in self._processes:
            process.kill()
            process.wait()
        if not self._kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _claimed(folder: Path) -> Path:
    """The folder, made if it is not there. Raises UsageError where it holds something, or cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError("is not empty", where=str(folder), fix="give --keep a new or empty folder")
        tempfile.TemporaryFile(dir=folder).close()  # one that was there may not let itself be written
    except OSError as error:
        raise UsageError(
            f"cannot be used: {error.strerror}", where=str(folder), fix="give --keep another folder"
        ) from None
    return folder
