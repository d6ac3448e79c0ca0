"""`nanoconsole presets`: what there is to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanoconsole.cli.options import Json, Preset, examples
from nanoconsole.cli.output import emit, table, tell

if TYPE_CHECKING:
    from nanocore.config.presets import Preset as PresetFile


COSTS = ("parameters", "active_parameters", "peak_bytes", "tokens")  # of the estimate, shown in the list


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="List the presets, or show one.", rich_markup_mode=None, no_args_is_help=True)
    group.command("list", epilog=examples("presets list", "presets list --json"))(list_presets)
    group.command("show", epilog=examples("presets show tiny-cpu", "presets show tiny-cpu --full"))(show_preset)
    app.add_typer(group, name="presets")


def list_presets(json: Json = False) -> None:
    """List every preset with its size and purpose."""
    from nanocore.config.presets import presets

    found = [_facts(preset) for preset in presets()]
    if json:
        return emit(found)
    rows = [(facts["name"], _size(facts), facts["origin"], facts["description"]) for facts in found]
    return table(("name", "parameters", "origin", "description"), rows)


def show_preset(
    name: Preset,
    full: Annotated[bool, typer.Option("--full", help="Every key with its meaning, defaults included.")] = False,
    json: Json = False,
) -> None:
    """Print what a preset sets.

    Only what differs from the defaults; with --full every key.
    """
    from nanocore.config.presets import find
    from nanocore.config.resolve import resolve
    from nanocore.config.toml import dump

    preset = find(name)
    config = resolve(name)
    if json:
        return emit({**_facts(preset), "config": config.model_dump(mode="json")})
    return tell((dump(config, comments=True) if full else preset.path.read_text(encoding="utf-8")).rstrip("\n"))


def _size(facts: dict[str, Any]) -> str:
    """Parameters, and how many of them a token uses where these are fewer."""
    from nanoconsole.services.format import count

    total, active = facts["parameters"], facts["active_parameters"]
    return count(total) if active == total else f"{count(total)}, {count(active)} active"


def _facts(preset: PresetFile) -> dict[str, Any]:
    """What the list shows. A preset of the user that cannot be read stands in it with the reason."""
    from nanocore.config.estimate import estimate
    from nanocore.config.resolve import resolve
    from nanocore.errors import ConfigError

    facts = {"name": preset.name, "description": preset.description, "origin": preset.origin}
    facts["expects"] = preset.expects
    try:
        if preset.problem:
            raise ConfigError([preset.problem])
        size = estimate(resolve(str(preset.path)))
    except ConfigError as error:
        unknown = dict.fromkeys(COSTS)
        return {**facts, "description": f"cannot be used: {error}", **unknown}
    return {**facts, **{name: getattr(size, name) for name in COSTS}}
