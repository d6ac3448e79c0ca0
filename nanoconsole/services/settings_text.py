"""Settings as a person types and reads them: in the dialog's line, and behind `settings set`."""

from __future__ import annotations

import shlex

from nanoconsole.services.settings_schema import Setting, Value


def written(value: Value) -> str:
    """A value as it is typed: words with blanks in them are quoted as in a shell, though none is ever asked."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return shlex.join(value) if isinstance(value, tuple) else str(value)


def parsed(setting: Setting, text: str) -> Value:
    """The value of what was typed. Raises ValueError, saying what is allowed."""
    text = text.strip()
    if setting.kind == "switch":
        return setting.take(
            {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}.get(text.lower())
        )
    if setting.kind == "number":
        try:
            return setting.take(float(text))
        except ValueError:
            raise ValueError(f"is not {setting.allowed}") from None
    if setting.kind == "choice":
        return setting.take(text)
    words = _words(text, setting.kind == "some")
    return setting.take(tuple(dict.fromkeys(words)) if setting.kind == "some" else words)


def _words(text: str, commas: bool) -> list[str]:
    """Texts, as in a shell (`commas` part them too) or as a TOML list, which is what the file holds."""
    if text.startswith("[") and not text.startswith("[ "):  # that is a program, which test scripts start
        return _listed(text)
    try:
        return shlex.split(text.replace(",", " ") if commas else text)
    except ValueError:
        raise ValueError("has a quotation mark without its other half") from None


def _listed(text: str) -> list[str]:
    import tomllib

    try:
        document = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ValueError('is no list of texts, such as ["notify-send", "{text}"]') from None
    if list(document) != ["value"] or not all(isinstance(word, str) for word in document["value"]):
        raise ValueError('is no list of texts, such as ["notify-send", "{text}"]')
    return document["value"]
