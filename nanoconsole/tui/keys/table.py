"""The keys as they are in force: the rows of the table, some of them on other keys by the user's settings."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from textual.keys import Keys, _character_to_key, format_key

from nanoconsole.tui.keys.key import Key

TYPED = frozenset({"value", "source", "say"})  # scopes in which a key that is one character is typed
LAST = 90  # from this place on, keys stand at the end of the key bar, and always
NO_KEY = "no-key"  # for Textual, which has no word for an action without one; no terminal sends it
KNOWN = {key.value for key in Keys if not key.value.startswith("<")} | {f"f{number}" for number in range(1, 25)}
MODIFIERS = ("ctrl", "shift", "alt", "super", "hyper", "meta")
SHOWN = {"escape": "esc", "up": "↑", "down": "↓", "left": "←", "right": "→", "pageup": "PgUp", "pagedown": "PgDn"}

Wishes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class KeyTable:
    """Dispatch, key bar, help and palette all ask this. `keymap` is {} when no key was changed."""

    rows: tuple[Key, ...]
    keymap: Mapping[str, str]

    def of(self, *scopes: str) -> list[Key]:
        """The rows of some scopes, in order."""
        return [key for key in self.rows if key.scope in scopes]

    def shown(self, name: str) -> str:
        """The key of an action as a person reads it; the palette's way in when it has none."""
        key = next(key for key in self.rows if key.name == name)
        return key.shown or f"{self.shown('app.command_palette')} {key.label}"

    def bar(self, scopes: Iterable[str]) -> list[Key]:
        """What the key bar shows for scopes given from the innermost out: an inner key hides the same key further out.

        In a line of text, a key that is one character is typed there and does nothing else.
        """
        scopes = list(scopes)
        typed = not TYPED.isdisjoint(scopes)
        seen = {key.shown for key in self.rows if len(key.shown) == 1 and key.shown.isprintable()} if typed else set()
        found: list[Key] = []
        for scope in scopes:
            labels = {key.label for key in found}
            own = [
                key for key in self.of(scope)
                if key.bar and key.keys and key.shown not in seen and key.label not in labels
            ]  # fmt: skip
            seen |= {key.shown for key in self.of(scope)}
            found += sorted(own, key=lambda key: key.bar)
        return sorted(found, key=lambda key: key.bar >= LAST)


def remapped(
    rows: Sequence[Key], wishes: Wishes, places: Mapping[str, str], parts: Mapping[str, Sequence[str]]
) -> tuple[KeyTable, list[str]]:
    """The table with the wished keys, and a line for each wish that cannot be granted; all others are.

    `parts` names the scopes inside each screen. A wish is refused when another action that can be in force at the same
    time has the key, unless that action moves away from it.
    """
    names = {key.name: key for key in rows}
    granted: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for name, pressed in wishes.items():
        fault = _fault(name, pressed, names)
        if fault:
            problems.append(f"{_place(name, places)}{name} {fault}")
        else:
            granted[name] = tuple(map(_normal, pressed))
    problems += _settle(names, granted, places, parts)
    table = tuple(_with(key, granted[key.name]) if key.name in granted else key for key in rows)
    keymap = {key.name: key.keys or NO_KEY for key in table} if granted else {}
    return KeyTable(table, keymap), problems


def _settle(
    names: Mapping[str, Key],
    granted: dict[str, tuple[str, ...]],
    places: Mapping[str, str],
    parts: Mapping[str, Sequence[str]],
) -> list[str]:
    """Take back wishes, the last first, until no key means two things; returns what to say."""
    problems: list[str] = []
    while True:
        clash = next(filter(None, (_clash(name, names, granted, parts) for name in reversed(list(granted)))), None)
        if clash is None:
            return problems
        name, pressed, other = clash
        del granted[name]
        kept = f"keeps {names[name].keys}" if names[name].keys else "stays without a key"
        problems.append(f"{_place(name, places)}{name}: {pressed} is the key of {other}; {name} {kept}")


def _clash(
    name: str, names: Mapping[str, Key], granted: Mapping[str, tuple[str, ...]], parts: Mapping[str, Sequence[str]]
) -> tuple[str, str, str] | None:
    """(the wish, its key, the action that has that key already), or None."""
    mine = names[name]
    for pressed in granted[name]:
        if pressed in mine.each:
            continue  # as before, whatever stands behind it
        for other in names.values():
            if other is not mine and pressed in granted.get(other.name, other.each) and _meet(mine, other, parts):
                return name, pressed, other.name
    return None


def _meet(one: Key, two: Key, parts: Mapping[str, Sequence[str]]) -> bool:
    """Whether two actions can be in force at the same time."""
    return one.scope == two.scope or _above(one.scope, two.scope, parts) or _above(two.scope, one.scope, parts)


def _above(outer: str, inner: str, parts: Mapping[str, Sequence[str]]) -> bool:
    """Whether `inner` lies inside `outer`: a part in its screen, a screen or a part in the app."""
    if outer == "app":
        return inner in parts or any(inner in scopes for scopes in parts.values())
    return inner in parts.get(outer, ())


def _fault(name: str, pressed: Sequence[str], names: Mapping[str, Key]) -> str:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1) if len(name) < 80 else []
        return f"names no action; {f'did you mean {near[0]}?' if near else 'see nanoconsole settings keys'}"
    wrong = next((word for word in pressed if not _is_key(_normal(word))), None)
    return (
        f'cannot be "{wrong}": that is no key; write "p", "P", "ctrl+p", "f5", "slash" and so on'
        if wrong is not None
        else ""
    )


def _is_key(name: str) -> bool:
    *modifiers, last = name.split("+")
    if not set(modifiers) <= set(MODIFIERS):
        return False
    return name in KNOWN or last in KNOWN or len(last) == 1 or _is_sign(last)


def _is_sign(name: str) -> bool:
    """Whether it is the name of a sign of the keyboard, such as question_mark."""
    return any(_character_to_key(chr(code)) == name for code in range(0x21, 0x7F) if not chr(code).isalnum())


def _normal(word: str) -> str:
    """A key as Textual names it: "?" is question_mark."""
    return _character_to_key(word) if len(word) == 1 and unicodedata.name(word, "") else word


def _with(key: Key, pressed: tuple[str, ...]) -> Key:
    return replace(key, keys=",".join(pressed), shown=_readable(pressed[0]) if pressed else "")


def _readable(name: str) -> str:
    """A key as the key bar writes it: ^p, ⇧tab, ?"""
    *modifiers, last = name.split("+")
    marks = "".join({"ctrl": "^", "shift": "⇧"}.get(each, f"{each}+") for each in modifiers)
    return marks + (SHOWN.get(last) or (format_key(last) if last not in ("enter", "tab", "space") else last))


def _place(name: str, places: Mapping[str, str]) -> str:
    place = places.get(f"keys.{name}", "")
    return f"{place}: " if place else ""
