"""`nanoconsole config`: show, check, compare, import and edit configurations."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanoconsole.cli import drafts
from nanoconsole.cli.options import Json, Runs, Set, Target, examples
from nanoconsole.cli.output import emit, say, table, tell

if TYPE_CHECKING:
    from nanoconsole.services.cost import Cost
    from nanocore.config.schema import Config

File = Annotated[Path, typer.Argument(metavar="FILE", help="A .toml file.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Show, check, compare, import or edit a configuration.", rich_markup_mode=None, no_args_is_help=True
    )
    group.command("show", epilog=examples("config show tiny-cpu", "config show tiny-cpu-0001 --json"))(show)
    group.command("check", epilog=examples("config check tiny-cpu", "config check my.toml --set model.n_layers=8"))(
        check
    )
    group.command("diff", epilog=examples("config diff tiny-cpu my.toml", "config diff tiny-cpu-0001 tiny-cpu-0002"))(
        diff
    )
    group.command("import", epilog=examples("config import old.toml > new.toml"))(import_file)
    drafts.register(group)
    group.command("edit", epilog=examples("config edit tiny-cpu", "config edit my.toml"))(edit)
    app.add_typer(group, name="config")


def show(
    target: Target,
    set: Set = None,
    comments: Annotated[bool, typer.Option("--comments", help="Each key with its meaning.")] = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Print a whole configuration: every key, defaults included."""
    from nanoconsole.cli.target import configuration
    from nanocore.config.toml import dump
    from nanocore.runs.layout import run_root

    config = configuration(target, run_root(runs), set or ())
    if json:
        return emit(config.model_dump(mode="json"))
    if config.moe.experts:
        _say_active(config)
    return tell(dump(config, comments=comments).rstrip("\n"))


def _say_active(config: Config) -> None:
    """What a mixture of experts has and what a token uses of it."""
    from nanoconsole.services.format import count
    from nanocore.config.estimate import estimate

    figures = estimate(config)
    say(f"{count(figures.parameters)} parameters, {count(figures.active_parameters)} active for each token")


def check(target: Target, set: Set = None, runs: Runs = None, json: Json = False) -> None:
    """Tell whether a configuration can be trained.

    Exit 0 and its size when it can, with the time it takes when a run like it has finished on this machine; else exit
    2 and one line for each fault.
    """
    from nanoconsole.cli.target import configuration
    from nanocore.config.advice import advice
    from nanocore.config.machine import device_type
    from nanocore.errors import ConfigError, DataError, UsageError
    from nanocore.runs.layout import run_root
    from nanocore.runs.named import refuse_missing

    root = run_root(runs)
    try:
        config = configuration(_named(target), root, set or ())
        refuse_missing(config)
        expected = _cost(config, root)
    except (ConfigError, DataError, UsageError) as error:
        if json:
            problems = error.problems if isinstance(error, ConfigError) else [str(error)]
            emit({"target": target, "valid": False, "problems": problems})
        raise
    facts = asdict(expected.estimate)
    if json:
        time = {"seconds": expected.seconds, "seconds_like_run": expected.like}
        machine = {"device": device_type(config.hardware), "dtype": _dtype(config)}
        found = {"target": target, "valid": True, "problems": [], "advice": advice(config)}
        return emit({**found, **machine, **facts, **time})
    tell(f"{target}: can be trained")
    for line in advice(config):
        say(f"note: {line}")
    place = "CPU" if device_type(config.hardware) == "cpu" else "GPU"
    rows = [("computed in", f"{_dtype(config)}, on a {place}"), *_readable(facts, _on_gpu(config, facts))]
    table(("estimate", "value"), [*rows, ("time", _time(expected))])
    if config.about.expects and not set:  # which no longer holds of a changed one
        tell(f"expects: {config.about.expects}")
    return None


def diff(a: Target, b: Target, runs: Runs = None, json: Json = False) -> None:
    """List the keys in which two configurations differ."""
    from nanoconsole.cli.target import configuration
    from nanocore.config.fields import changed
    from nanocore.runs.layout import run_root

    root = run_root(runs)
    rows = changed(configuration(a, root), configuration(b, root))
    if json:
        return emit([{"key": key, "a": before, "b": after} for key, before, after in rows])
    if not rows:
        return say(f"{a} and {b} are the same configuration")
    return table(("key", a, b), rows)


def import_file(file: File, json: Json = False) -> None:
    """Translate an earlier system's configuration.

    It is printed as one of ours; what was left out is told on stderr.
    """
    from nanocore.config.legacy import import_file as translate
    from nanocore.config.write import difference_text

    found = translate(file)
    if json:
        return emit({"values": found.values, "notes": found.notes, "config": found.config.model_dump(mode="json")})
    for note in found.notes:
        say(note)
    return tell(difference_text(found.values).rstrip("\n"))


def edit(target: Target, runs: Runs = None) -> None:
    """Open the app's editor.

    TARGET is a preset, a file, or a run, of whose configuration a new run can be made.
    """
    from nanoconsole.cli.target import source
    from nanoconsole.cli.terminal import need_terminal
    from nanocore.runs.layout import run_root

    need_terminal("the editor", "config show, config check and --set")
    root = run_root(runs)
    found = source(target, root)
    from nanoconsole.tui.app import run_config_editor

    raise typer.Exit(run_config_editor(found, root))


def _named(target: str) -> str:
    """The target; a file without the suffix .toml as a path, unless a preset has its name."""
    from nanocore.config.presets import presets
    from nanocore.files import is_file

    bare = is_file(Path(target)) and target not in [preset.name for preset in presets()]
    return f"./{target}" if bare and "/" not in target else target


def _cost(config: Config, root: Path) -> Cost:
    from nanoconsole.services.cost import cost, read_timings

    return cost(config, read_timings(root))


def _time(expected: Cost) -> str:
    from nanoconsole.services.format import duration

    if expected.seconds is None:
        return f"unknown: {expected.source}"
    return f"{'about ' if expected.like else ''}{duration(expected.seconds)}, {expected.source}"


def _dtype(config: Config) -> str:
    from nanocore.config.machine import compute_bytes

    return "float32" if compute_bytes(config.hardware) == 4 else "bfloat16"


def _on_gpu(config: Config, here: dict[str, Any]) -> dict[str, Any]:
    """What differs on a GPU in bfloat16, where the configuration leaves both to the machine and this one has neither."""
    from nanocore.config.estimate import estimate
    from nanocore.config.machine import device_type

    hardware = config.hardware
    if (hardware.device, hardware.dtype, device_type(hardware)) != ("auto", "auto", "cpu"):
        return {}
    there = hardware.model_copy(update={"device": "cuda", "dtype": "bfloat16"})
    found = asdict(estimate(config.model_copy(update={"hardware": there})))
    return {name: value for name, value in found.items() if value != here[name]}


def _readable(facts: dict[str, Any], on_gpu: dict[str, Any]) -> list[tuple[str, str]]:
    from nanoconsole.services.format import count, size

    def told(name: str, value: int) -> str:
        if name == "tokens" and not value:
            return "unknown until the run has timed its steps"
        return size(value) if name.endswith("_bytes") else count(value)

    dense = facts["active_parameters"] == facts["parameters"]
    return [
        (
            name.replace("_", " "),
            told(name, value) + (f" ({told(name, on_gpu[name])} on a GPU, in bfloat16)" if name in on_gpu else ""),
        )
        for name, value in facts.items()
        if not (dense and name == "active_parameters")
    ]
