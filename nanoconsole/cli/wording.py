"""What the parser of the command line says, in this program's words and with what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

PLAIN = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"must be at least \1"),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"must be at most \1"),
    (re.compile(r"Input should be greater than (\S+)"), r"must be above \1"),
    (re.compile(r"Input should be less than (\S+)"), r"must be below \1"),
    (re.compile(r"Input should be a valid integer\b.*"), "must be a whole number"),
    (re.compile(r"Input should be a valid number\b.*"), "must be a number"),
)
COMMAND = re.compile(r"No such command '(?P<given>[^']*)'(?:\. Did you mean (?P<near>'.*')\?)?$")
CHOICE = re.compile(r"'(?P<given>[^']*)' is not one of (?P<known>'.*')")
OPTION = re.compile(r"No such option: (?P<given>--[a-z-]+)")
OF_THE_QUEUE = ("--restarts", "--slots", "--stop-on-failure")
TEXT_VERB = "generate"


def plain(
    message: str, verb: str, groups: Mapping[str, Collection[str]] | None = None, *, takes_set: bool = False
) -> str:
    """A message without its last full stop, as far as known in plain words; `groups` are the verbs of each group.

    `takes_set` says that the verb has --set.
    """
    message = message.rstrip(".")
    if found := COMMAND.match(message):
        return _no_command(found["given"], found["near"], {} if verb else groups or {})
    if verb == "train" and (found := OPTION.match(message)) and found["given"] in OF_THE_QUEUE:
        return f"{found[0]}; queued runs have it, as in queue add tiny-cpu {found['given']}"
    if takes_set and (found := OPTION.match(message)) and (key := _key(found["given"])):
        return f"{found[0]}; it is a key of the configuration: --set {key}=VALUE"
    for pattern, words in PLAIN:
        message = pattern.sub(words, message)
    return message + _meant(message) + _prompt(message, verb)


def _key(option: str) -> str:
    """The one key of a configuration that an option is named like: training.steps for --steps."""
    from nanocore.config.fields import fields

    name = option.removeprefix("--").replace("-", "_")
    keys = [field.key for field in fields() if field.name == name]
    return keys[0] if len(keys) == 1 else ""


def _no_command(given: str, near: str | None, groups: Mapping[str, Collection[str]]) -> str:
    """A verb that does not exist: the group that has it, first that of runs, goes before a verb that is spelled alike."""
    group = next((name for name in sorted(groups, key=lambda name: name != "runs") if given in groups[name]), "")
    meant = f"{group} {given}" if group else (near or "").replace("'", "")
    return f"no such command: {given}" + (f"; did you mean {meant}?" if meant else "")


def _meant(message: str) -> str:
    """`; did you mean gguf?` for a choice that is nearly one of those there are."""
    found = CHOICE.search(message)
    if found is None:
        return ""
    near = difflib.get_close_matches(found["given"], re.findall(r"'([^']*)'", found["known"]), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _prompt(message: str, verb: str) -> str:
    """A text that was given like an argument is the usual mistake with the verb that goes on from one."""
    extra = message.startswith("Got unexpected extra argument") or message == "Missing option '--prompt'"
    return "; the text to go on from belongs behind --prompt, as --prompt 'def '" if verb == TEXT_VERB and extra else ""
