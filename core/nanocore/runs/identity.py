"""Which process is meant: a pid alone may be somebody else's by now."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@cache
def boot_id() -> str:
    """The kernel's random number of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


@cache
def host_name() -> str:
    return socket.gethostname()


@dataclass(frozen=True)
class Identity:
    """A process that can never be taken for another: pid, start time in clock ticks since boot, boot and host."""

    pid: int
    start_ticks: int
    boot_id: str
    host: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The living process `pid` on this host, or None. A zombie is not living. (proc(5), stat fields 3 and 22)"""
        try:
            text = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return None
        fields = text[text.rindex(b")") + 2 :].split()  # the name before it may hold spaces and brackets
        if fields[0] in (b"Z", b"X", b"x"):
            return None
        return cls(pid, int(fields[19]), boot_id(), host_name())

    @classmethod
    def mine(cls) -> Identity:
        """This process."""
        me = cls.of(os.getpid())
        assert me is not None
        return me

    def lives(self) -> bool:
        """Whether exactly this process still runs here."""
        return self.pid > 0 and Identity.of(self.pid) == self
