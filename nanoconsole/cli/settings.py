"""`nanoconsole settings`: what is set, what could be, and what is wrong with the file."""

from __future__ import annotations

from typing import Annotated

import typer

from nanoconsole.cli.options import Json, examples
from nanoconsole.cli.output import emit, say, table, tell
from nanocore.errors import ConfigError
from nanocore.runs.hints import to_type

SettingKey = Annotated[str, typer.Argument(metavar="KEY", help="A setting, as theme or alerts.disk.below.")]
SettingValue = Annotated[
    str, typer.Argument(metavar="VALUE", help="Its value; a list is written with blanks between its words.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Show, check and change the settings.", rich_markup_mode=None, no_args_is_help=True)
    group.command("path", epilog=examples("settings path"))(path)
    group.command("show", epilog=examples("settings show", "settings show --json | jq .values.theme"))(show)
    lines = ("settings set theme nano-light", "settings set alerts.command 'notify-send nanoconsole {text}'")
    group.command("set", epilog=examples(*lines))(set_one)
    group.command("check", epilog=examples("settings check"))(check)
    group.command("keys", epilog=examples("settings keys", "settings keys --json"))(list_keys)
    app.add_typer(group, name="settings")


def path(json: Json = False) -> None:
    """Print where the settings are kept."""
    from nanoconsole.services.settings import settings_file

    found = settings_file()
    return emit({"path": str(found), "exists": found.exists()}) if json else tell(str(found))


def show(json: Json = False) -> None:
    """Show every setting.

    With its value, its default where it has another, what is allowed and what it means.
    """
    from nanoconsole.services.settings import load, settings_file
    from nanoconsole.services.settings_schema import SETTINGS
    from nanoconsole.services.settings_text import written

    found = load()
    _say_faults(found.problems)
    if json:
        return emit({"path": str(settings_file()), "values": dict(found.values), "keys": dict(found.keys)})
    rows = []
    for setting in SETTINGS:
        value = found.values[setting.key]
        other = "" if value == setting.default else written(setting.default) or "none"
        rows.append((setting.key, written(value), other, setting.allowed, setting.help))
    table(("setting", "value", "default", "allowed", "meaning"), rows)
    if found.keys:
        tell("")
        table(("action", "keys"), [(name, ", ".join(pressed) or "none") for name, pressed in found.keys.items()])
    return None


def set_one(key: SettingKey, value: SettingValue, json: Json = False) -> None:
    """Change one setting.

    Comments and all other lines of the file stay as they are.
    """
    from nanoconsole.services.settings import save, settings_file
    from nanoconsole.services.settings_schema import BY_KEY
    from nanoconsole.services.settings_text import parsed, written
    from nanocore.errors import UsageError

    if key in BY_KEY:
        try:
            taken = parsed(BY_KEY[key], value)
        except ValueError as error:
            raise UsageError(f'"{value}" {error}', where=key) from None
    else:
        taken = value  # refused by save, which knows the nearest key
    found = save(key, taken).values[key]
    if json:
        return emit({"path": str(settings_file()), "key": key, "value": found})
    return say(f"{key} = {written(found) or 'none'}, in {settings_file()}")


def check(json: Json = False) -> None:
    """Check the file.

    Each fault is a line with its place, and the exit code is 2 when there is one. What is right applies all the same.
    """
    problems = [*_faults()]
    if json and not problems:
        return emit({"problems": []})
    if problems:
        raise ConfigError(problems)
    return say("the settings are in order")


def list_keys(json: Json = False) -> None:
    """List every action with its name for [keys], and the keys it has now."""
    from nanoconsole.services.settings import load
    from nanoconsole.tui import keys

    found = load()
    now, problems = keys.in_force(found.keys, found.places)
    _say_faults(problems)
    rows = [
        {"name": key.name, "keys": list(key.each), "changed": key != before, "help": key.help}
        for key, before in zip(now.rows, keys.TABLE, strict=True)
    ]
    if json:
        return emit(rows)
    shown = [(row["name"], " ".join(row["keys"]), "changed" if row["changed"] else "", row["help"]) for row in rows]
    return table(("action", "keys", "", "meaning"), shown)


def _faults() -> list[str]:
    """Everything that is wrong with the file, its keys included."""
    from nanoconsole.services.settings import load
    from nanoconsole.tui import keys

    found = load()
    return [*found.problems, *keys.in_force(found.keys, found.places)[1]]


def _say_faults(problems: list[str] | tuple[str, ...]) -> None:
    for problem in problems:
        say(f"{problem}; check: {to_type('settings check')}")
