"""What an alert does besides being told: a checkpoint, a pause, or a program of the user's own.

The program is an argument list from the user's settings; no preset, run folder or archive can name one. There is no
shell, and what is put in place of {run}, {rule}, {step} and {text} are names that were checked and the console's own
words, never text that a run wrote.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence

from nanoconsole.services.alert_log import Alert
from nanoconsole.services.settings import Settings
from nanocore.errors import NanoError
from nanocore.runs.layout import RunFolder
from nanocore.runs.postmortem import exit_words
from nanocore.runs.steer import request
from nanocore.runs.text import sanitize_line

Tell = Callable[[str], None]
PLACES = ("run", "rule", "step", "text")


def act(alert: Alert, settings: Settings, tell: Tell) -> None:
    """Carry out the actions of an alert's rule; what fails is told in a line, and the others are done."""
    actions = settings.actions(alert.rule)
    for command in ("checkpoint", "pause"):
        if command in actions:
            _ask(alert.run, command, tell)
    if "command" in actions:
        if settings.command:
            start(filled(settings.command, alert), settings.command_seconds, tell)
        else:
            tell(f"alert {alert.rule}: its action is a command, and alerts.command is empty")


def filled(command: Sequence[str], alert: Alert) -> list[str]:
    """The argument list for an alert."""
    words = {"run": alert.run.name, "rule": alert.rule, "step": str(alert.step), "text": alert.text}
    found: list[str] = []
    for argument in command:
        for place in PLACES:
            argument = argument.replace(f"{{{place}}}", words[place])
        found.append(argument)
    return found


def start(arguments: list[str], seconds: float, tell: Tell) -> None:
    """Start a program in a session of its own and end it after `seconds`; a thread tells how it failed, if it did."""
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        tell(sanitize_line(f"the alert's command {arguments[0]} cannot be started: {reason}"))
        return
    threading.Thread(target=_attend, args=(process, seconds, tell), name="alert command", daemon=True).start()


def _attend(process: subprocess.Popen[bytes], seconds: float, tell: Tell) -> None:
    """Wait for a program; when its time is over, end it and everything it started."""
    name = sanitize_line(str(process.args[0] if isinstance(process.args, list) else process.args))
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        tell(f"the alert's command {name} was ended after {seconds:g} s")
        return
    if code:
        tell(f"the alert's command {name}: {exit_words(code)}")


def _ask(run: RunFolder, command: str, tell: Tell) -> None:
    try:
        request(run, command)
    except NanoError as error:
        tell(f"alert: {command} was not possible: {error}")
