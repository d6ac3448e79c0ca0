"""What presets cost as they are in their files, for the list of presets: found in a thread, each file read once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from nanoconsole.services.cost import Cost, Timing, cost
from nanocore.config import toml
from nanocore.config.resolve import target_path
from nanocore.config.schema import Config
from nanocore.errors import NanoError


def cost_of(config: Config | None, timings: list[Timing]) -> Cost | str:
    """The cost of a configuration, or why there is none; "" without one."""
    if config is None:
        return ""
    try:
        return cost(config, timings)
    except NanoError as error:
        return str(error)


class PresetCosts:
    """Remembers every file, readable or not, for as long as its time stays what it was."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[int, Config | None]] = {}
        self._lock = threading.Lock()  # a second look waits for the first, and finds what that has read

    def find(self, targets: Sequence[str], timings: list[Timing]) -> dict[str, Cost | str]:
        """The costs of targets; none of one that cannot be read."""
        with self._lock:
            found = {target: self._config(target) for target in targets}
        return {target: cost_of(config, timings) for target, config in found.items() if config is not None}

    def _config(self, target: str) -> Config | None:
        try:
            path = target_path(target)
            changed = path.stat().st_mtime_ns
            if path not in self._read or self._read[path][0] != changed:
                self._read[path] = (changed, None)
                self._read[path] = (changed, toml.load(path))
            return self._read[path][1]
        except (NanoError, OSError):  # opening it says why
            return None
