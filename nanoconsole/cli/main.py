"""The root of the command line: every verb in one table, one funnel for every failure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from nanoconsole.cli import (
    alerts,
    bench,
    chat,
    checkpoints,
    compare,
    config,
    control,
    data,
    doctor,
    errors,
    export,
    generate,
    inspect,
    layers,
    log,
    presets,
    queue,
    report,
    resume,
    runs,
    samples,
    settings,
    tensorboard,
    train,
    validate,
    watch,
    web,
)
from nanoconsole.cli.metavars import simplify
from nanocore.errors import EXIT_CODES
from nanocore.runs.hints import repeat_root
from nanocore.runs.layout import root_here

HEADLESS = (
    "presets, config, data, train, runs, layers, samples, log, watch, alerts, stop, pause, resume, checkpoint, sample, "
    "fire, queue, compare, report, checkpoints, generate, chat, export, inspect, doctor, validate, "
    "bench, web, tensorboard, settings"
)
EPILOG = "\b\n" + "\n".join(["Exit codes:", *(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())])

app = typer.Typer(
    name="nanoconsole",
    epilog=EPILOG,
    rich_markup_mode=None,  # brackets in help texts are brackets, and rich's import is 0.15 s
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    presets,
    config,
    data,
    train,
    runs,
    layers,
    samples,
    log,
    watch,
    alerts,
    control,
    resume,
    queue,
    compare,
    report,
    checkpoints,
    generate,
    chat,
    export,
    inspect,
    doctor,
    validate,
    bench,
    tensorboard,
    web,
    settings,
):
    module.register(app)


def show_version(asked: bool) -> None:
    """Print the version and stop."""
    if asked:
        from importlib.metadata import version

        print(f"nanoconsole {version('nanoconsole')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    runs: Annotated[
        Path | None, typer.Option("--runs", metavar="DIR", help="Folder of runs; may follow the verb too.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train small ternary language models from a terminal.

    Without a verb the app opens. Training runs in a process of its own: it goes on when the console is closed.
    """
    if context.invoked_subcommand is None:
        raise typer.Exit(open_app(runs))


def open_app(runs: Path | None) -> int:
    """Open the app, or say in one line what works without a terminal."""
    from nanoconsole.cli.terminal import need_terminal

    need_terminal("the app", HEADLESS)
    from nanoconsole.tui.app import run_app
    from nanocore.runs.layout import run_root

    return run_app(run_root(runs))


@cache
def command() -> Callable[..., Any]:
    """The command tree, built once: Typer reads the annotations of every verb for it."""
    built = get_command(app)
    simplify(built)
    return built


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code and never raises.

    Words that the terminal's encoding lacks are shown as "?", so that no text can end a command.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    named = _named_root(arguments)
    repeat_root(named or root_here())
    try:
        code = _call(list(arguments))
        sys.stdout.flush()
        return code
    except Exception as error:
        return errors.report(error, as_json="--json" in arguments, runs=named)
    finally:
        repeat_root(None)


def _call(given: list[str]) -> int:
    try:
        return int(command()(given, prog_name="nanoconsole", standalone_mode=False, obj=given) or 0)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1


def _named_root(arguments: Sequence[str]) -> Path | None:
    """The folder given with --runs, read without the parser, which may be what failed."""
    for here, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if here == "--runs" and following:
            return Path(following)
        if here.startswith("--runs="):
            return Path(here.partition("=")[2])
    return None
