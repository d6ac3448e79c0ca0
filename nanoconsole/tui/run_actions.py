"""What can be done to a run, from any screen that shows one. Nothing here waits in the interface's thread."""

from __future__ import annotations

from collections.abc import Callable

from nanoconsole.tui.keys import Key
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.screens.stop import StopScreen
from nanocore.checkpoint.manifest import available
from nanocore.errors import NanoError
from nanocore.runs.layout import RunFolder
from nanocore.runs.status import FINAL_STATES

ON_WORKING = ("pause", "checkpoint", "stop", "sample", "fire")
ENDED = (*FINAL_STATES, "created", "unknown")


class RunActions(ConsoleScreen):
    """Actions on the chosen run of a screen."""

    def chosen(self) -> RunFolder | None:
        """The run that actions mean."""
        raise NotImplementedError

    def chosen_state(self) -> str:
        """Its state as last seen, "" without a run."""
        raise NotImplementedError

    def offers(self, action: str) -> bool:
        state = self.chosen_state()
        if action in ON_WORKING:
            return state in ("starting", "running", "paused")
        return state in ENDED if action == "resume" else super().offers(action)

    def main_action(self) -> str:
        return "pause" if self.chosen_state() == "paused" else super().main_action()

    def key_label(self, key: Key) -> str:
        return "Go on" if key.action == "pause" and self.chosen_state() == "paused" else super().key_label(key)

    def action_pause(self) -> None:
        if self.chosen_state() == "paused":
            self.send("resume", "goes on")
        else:
            self.send("pause", "pauses after this step")

    def action_checkpoint(self) -> None:
        self.send("checkpoint", "saves a checkpoint after this step")

    def action_sample(self) -> None:
        self.send("sample", "writes a sample after this step")

    def action_stop(self) -> None:
        run = self.chosen()
        if run is not None and self.possible("stop"):
            self.app.push_screen(StopScreen(run.name, checkpointed=bool(available(run.checkpoints_dir))), self._stop)

    def action_resume(self) -> None:
        """Start the trainer of an ended run again."""
        run = self.chosen()
        if run is None or not self.possible("resume"):
            return

        def start() -> str:
            from nanoconsole.services.launcher import restart

            launched = restart(run)
            self.console.trainer_started(run)
            return f"{run.name}: {launched.start}"

        self._do(start)

    def action_tensorboard(self) -> None:
        """Serve the run to a browser of this machine, or end that."""
        if (run := self.chosen()) is not None:
            self.console.switch_board(run)

    def action_chat(self) -> None:
        """Talk with the newest checkpoint."""
        from nanoconsole.services.models import Model
        from nanoconsole.tui.talking import talk

        if (run := self.chosen()) is not None:
            talk(self.console, Model(run.path))

    def action_checkpoints(self) -> None:
        """The list of the run's checkpoints, and what can be done with one."""
        from nanoconsole.tui.checkpoint_actions import show_checkpoints

        if (run := self.chosen()) is not None:
            show_checkpoints(self, run)

    def _stop(self, way: str | None) -> None:
        """Carry out the choice made in the stop dialog."""
        if way == "stop":
            self.send("stop", "saves a checkpoint after this step and ends")
        elif way == "stop-after-checkpoint":
            self.send("stop-after-checkpoint", "ends at its next checkpoint")
        elif way == "kill" and (run := self.chosen()) is not None:
            self._do(lambda: _kill(run))

    def send(self, command: str, promise: str) -> None:
        """Leave a command for the chosen run's trainer, and tell what it promises."""
        run = self.chosen()
        if run is None or not self.possible("stop"):
            return

        def request() -> str:
            from nanocore.runs.steer import request

            request(run, command)
            return f"{run.name} {promise}"

        self._do(request)

    def possible(self, action: str) -> bool:
        """Whether the chosen run is in a state for it; says so when it is not."""
        if self.offers(action):
            return True
        if self.chosen() is not None:
            self.console.say(f"not possible: the run is {self.chosen_state()}", "warning")
        return False

    def _do(self, work: Callable[[], str]) -> None:
        """Run `work` in a thread and tell its words, or what went wrong."""

        def guarded() -> None:
            try:
                self.console.say(work())
            except NanoError as error:
                self.console.say(str(error), "error")
            self.console.follower.look()

        self.run_worker(guarded, thread=True, group="run actions")


def _kill(run: RunFolder) -> str:
    from nanocore.runs.steer import force_stop

    force_stop(run, patience=0.0)
    kept = "its last checkpoint is kept" if available(run.checkpoints_dir) else "it had no checkpoint yet"
    return f"{run.name} was killed; {kept}"
