"""What the machine is doing: processors, memory, disk, and GPUs where NVML finds them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from nanocore.runs.text import sanitize_line


@dataclass(frozen=True)
class Gpu:
    """One GPU: utilisation in [0, 1], memory in bytes, power in watts, degrees Celsius; None where the driver does not
    tell."""

    name: str
    utilisation: float | None
    used: int | None
    total: int | None
    watts: float | None
    celsius: float | None = None


@dataclass(frozen=True)
class Meters:
    """One reading. Shares are in [0, 1]; sizes in bytes; the trainer's are None when it does not run here."""

    cpu: float
    cores: int
    memory_used: int
    memory_total: int
    disk_free: int
    disk_total: int
    trainer_cpu: float | None = None
    trainer_memory: int | None = None
    gpus: tuple[Gpu, ...] = ()


class MeterReader:
    """Reads the meters; `cpu` figures cover the time since the reading before."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trainer: psutil.Process | None = None
        self._nvml = _Nvml()
        psutil.cpu_percent()

    def read(self, pid: int = 0) -> Meters:
        """One reading; `pid` is the trainer's process (0: none)."""
        memory = psutil.virtual_memory()
        disk = _disk(self._root)
        cpu, resident = self._process(pid)
        return Meters(
            cpu=psutil.cpu_percent() / 100,
            cores=psutil.cpu_count() or 1,
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            disk_free=disk[0],
            disk_total=disk[1],
            trainer_cpu=cpu,
            trainer_memory=resident,
            gpus=self._nvml.read(),
        )

    def _process(self, pid: int) -> tuple[float | None, int | None]:
        """Share of one core and resident bytes of the trainer."""
        try:
            if pid and (self._trainer is None or self._trainer.pid != pid):
                self._trainer = psutil.Process(pid)
                self._trainer.cpu_percent()
            if not pid or self._trainer is None:
                return None, None
            return self._trainer.cpu_percent() / 100, int(self._trainer.memory_info().rss)
        except psutil.Error:
            self._trainer = None
            return None, None


def _disk(path: Path) -> tuple[int, int]:
    """Free and total bytes where `path` is or will be."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        if path == path.parent:
            raise
        return _disk(path.absolute().parent)
    return usage.free, usage.total


class _Nvml:
    """NVIDIA's management library, opened at the first reading; without it, or without a driver, there are no GPUs."""

    def __init__(self) -> None:
        self._library: Any = None
        self._handles: list[Any] | None = None

    def read(self) -> tuple[Gpu, ...]:
        if self._handles is None:
            self._handles = self._open()
        return tuple(self._gpu(handle) for handle in self._handles)

    def _open(self) -> list[Any]:
        try:
            import pynvml
        except ImportError:
            return []
        self._library = pynvml
        try:
            pynvml.nvmlInit()
            return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError:
            return []

    def _ask(self, name: str, *arguments: Any) -> Any:
        """One question; None when this GPU cannot answer it."""
        try:
            return getattr(self._library, name)(*arguments)
        except self._library.NVMLError:
            return None

    def _gpu(self, handle: Any) -> Gpu:
        rates, memory = self._ask("nvmlDeviceGetUtilizationRates", handle), self._ask("nvmlDeviceGetMemoryInfo", handle)
        watts = self._ask("nvmlDeviceGetPowerUsage", handle)
        heat = self._ask("nvmlDeviceGetTemperature", handle, self._library.NVML_TEMPERATURE_GPU)
        return Gpu(
            name=sanitize_line(str(self._ask("nvmlDeviceGetName", handle) or "GPU"), 40),
            utilisation=rates.gpu / 100 if rates else None,
            used=int(memory.used) if memory else None,
            total=int(memory.total) if memory else None,
            watts=watts / 1000 if watts is not None else None,
            celsius=float(heat) if heat is not None else None,
        )
