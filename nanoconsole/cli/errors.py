"""Every failure of a verb ends here: one line for the reader, an object for a program, a documented exit code."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

import typer

from nanoconsole.cli.streams import OutputError
from nanocore.errors import ConfigError, NanoError
from nanocore.runs.hints import to_type


def report(error: Exception, *, as_json: bool, runs: Path | None) -> int:
    """Say what went wrong on stderr and return the exit code of the command."""
    if isinstance(error, OutputError) and error.silent:
        return error.exit_code
    if isinstance(error, typer.TyperException) and _is_help(error):
        print(error.format_message())
        return error.exit_code
    if isinstance(error, NanoError):
        lines, code = _lines(error), error.exit_code
    elif isinstance(error, typer.TyperException):
        lines, code = [_usage(error)], 2
    else:
        lines, code = [_unexpected(error, runs)], 1
    if as_json:
        _object(error, lines, code)
    else:
        for line in lines:
            print(f"nanoconsole: {line}", file=sys.stderr)
    return code


def _is_help(error: typer.TyperException) -> bool:
    """Whether it is how a group of verbs that was named alone shows its help."""
    context = getattr(error, "ctx", None)
    return context is not None and error.format_message() == context.get_help()


def _lines(error: NanoError) -> list[str]:
    from nanocore.runs.text import sanitize_line

    found = error.problems if isinstance(error, ConfigError) else [str(error)]
    return [sanitize_line(line) for line in found]


def _usage(error: typer.TyperException) -> str:
    """`train: No such option: --stes; see nanoconsole train --help`."""
    from nanoconsole.cli.wording import plain
    from nanocore.runs.text import sanitize_line

    context = getattr(error, "ctx", None)
    verb = context.command_path.removeprefix("nanoconsole").lstrip() if context else ""
    takes_set = context is not None and any("--set" in parameter.opts for parameter in context.command.params)
    words = plain(error.format_message(), verb, _groups(context), takes_set=takes_set)
    return sanitize_line(f"{words}{'' if words.endswith('?') else ';'} see {to_type(f'{verb} --help'.lstrip())}")


def _groups(context: Any) -> dict[str, Collection[str]]:
    """The groups of verbs of the whole command line, each with its own."""
    verbs = getattr(context.find_root().command, "commands", {}) if context else {}
    return {name: group.commands for name, group in verbs.items() if hasattr(group, "commands")}


def _object(error: Exception, lines: list[str], code: int) -> None:
    facts = {"type": type(error).__name__, "message": "; ".join(lines), "problems": lines, "exit_code": code}
    print(json.dumps({"error": facts}, ensure_ascii=True), file=sys.stderr)


def _unexpected(error: Exception, runs: Path | None) -> str:
    from nanocore.runs.text import sanitize_line

    text = "".join(traceback.format_exception(error))
    summary = sanitize_line(f"{type(error).__name__}: {error}")
    return f"unexpected error: {summary}; {_kept(text, runs)}"


def _kept(text: str, runs: Path | None) -> str:
    """Write a trace where only this user reads it: the private folder, else the system's; where it is, in words."""
    from nanocore.runs.layout import private, run_root

    reason = ""
    for make in (
        lambda: _made(private(run_root(runs)) / "traces"),
        lambda: Path(tempfile.mkdtemp(prefix="nanoconsole-")),
    ):
        try:
            path = make() / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            return f"the full trace is in {path}"
        except OSError as error:
            reason = error.strerror or str(error)
    return f"the full trace could not be written: {reason}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
