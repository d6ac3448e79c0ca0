"""The queue's real supervisor with trainers that have no torch: `python -m tests.fake_supervisor ROOT`.

FAKE_TRAINER names the trainer's module, else tests.fake_trainer.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

from nanocore.runs import restart, spawn, supervisor

LIFETIME = 120  # seconds; one that a failed test left behind ends by itself

if __name__ == "__main__":
    signal.alarm(LIFETIME)
    module = os.environ.get("FAKE_TRAINER", "tests.fake_trainer")
    spawn.spawn_trainer = partial(spawn.spawn_trainer, module=module)
    supervisor.INTERVAL = 0.02
    restart.FIRST_PAUSE = 0.02
    sys.exit(supervisor.main(sys.argv[1:]))
