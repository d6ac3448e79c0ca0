"""Reading configurations of the earlier system: each key is mapped, left out with a note, or refused with the reason."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocore.config import toml
from nanocore.config.idle import idle, of_table
from nanocore.config.legacy_keys import KEYS, Derived, Dropped, Option, Switch, To, entry
from nanocore.config.legacy_reads import Earlier
from nanocore.config.legacy_techniques import TECHNIQUES, first
from nanocore.config.legacy_training import TRAINING
from nanocore.config.locate import nearest_above
from nanocore.config.messages import show
from nanocore.config.rules import Problem
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.errors import ConfigError
from nanocore.runs.text import sanitize_line


@dataclass(frozen=True)
class Imported:
    """The configuration, its keys that were set from the earlier file, and what the reader should know."""

    config: Config
    values: dict[str, Any]
    notes: tuple[str, ...]


def import_file(path: Path) -> Imported:
    """Read an earlier TOML file. Raises ConfigError with one line for each key that cannot be used."""
    text = toml.read_text(path)
    return import_table(toml.parse(text, where=str(path)), where=str(path), places=toml.places(text, str(path)))


def import_table(table: Mapping[str, Any], *, where: str = "", places: Mapping[str, str] | None = None) -> Imported:
    """Translate the keys of an earlier configuration. Raises ConfigError with one line for each refusal."""
    old = _flat(table)
    values: dict[str, Any] = {}
    notes: list[str] = []
    refused: list[Problem] = []
    for key, value in old.items():
        _translate(key, value, values, notes, refused)
    if not refused:
        refused = derive(old, values, notes)
    if refused:
        raise ConfigError([_line(problem, where, places or {}) for problem in refused])
    _leave_out_idle(values, notes)
    return Imported(build(_nested(values), where=where, places=_targets(old, places or {})), values, tuple(notes))


def _leave_out_idle(values: dict[str, Any], notes: list[str]) -> None:
    """The earlier system took keys that nothing read; here they would be refused."""
    while found := dict(idle(of_table(_nested(values)))):  # a key that is left out may have been what another needs
        value = of_table(_nested(values))
        for key, reason in found.items():
            notes.append(f"{key}: left out: it has no effect while {reason.state(value)}")
            del values[key]


def _nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    return nested


def _targets(old: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, str]:
    """The places of the earlier keys under our names, so that a value out of range is reported where it stands."""
    pairs = ((entry(key), nearest_above(key, places)) for key in old)
    return {kind.key: place for kind, place in pairs if isinstance(kind, To) and place}


def _translate(key: str, value: Any, values: dict[str, Any], notes: list[str], refused: list[Problem]) -> None:
    shown = sanitize_line(key)
    match entry(key):
        case To(target, words):
            values[target] = words.get(value, value) if isinstance(value, str | bool) else value
        case Dropped(reason):
            notes.append(f"{shown}: left out: {reason}")
        case Switch(technique, off) if value in off or value in ([], {}):
            notes.append(f"{shown}: left out: {show(value)} means no {technique}")
        case Switch(technique, off):
            what = f"{show(value)} asks for {technique}, which this version has not"
            refused.append(Problem(shown, what, f"set {_off(value, off)} to import the rest"))
        case Option(technique):
            notes.append(f"{shown}: left out: an option of {technique}, which this version has not")
        case Derived():
            pass
        case None:
            near = difflib.get_close_matches(key.rpartition(".")[2], KEYS, 1)
            fix = f"did you mean {near[0]}?" if near else "remove it"
            refused.append(Problem(shown, "is no key of the earlier system", fix))


def _off(value: object, off: tuple[object, ...]) -> str:
    """The value of the same kind that switches the technique off."""
    return show(next((word for word in off if type(word) is type(value)), off[0]))


def derive(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> list[Problem]:
    """Fill in the keys that follow from several earlier ones, with a note for each of these that set nothing.

    Returns a problem for each value that is of no use.
    """
    keys = dict(Earlier(old))
    bad = [(name, keys[name], fix) for name, fits, fix in _KINDS if name in keys and not fits(keys[name])]
    if bad:
        return [Problem(name, f"cannot be {show(value)}", fix) for name, value, fix in bad]
    earlier = Earlier(old)
    for rule in (_shape, _streams, *TRAINING, *TECHNIQUES):
        rule(earlier, values, notes)
    told = {note.partition(":")[0] for note in notes}
    notes.extend(note for note in earlier.without_use() if note.partition(":")[0] not in told)
    return []


def _shape(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    """Widths and lengths. d_ff was d_model times ffn_mult, rounded up to whole groups; absent, n_kv_heads was n_heads."""
    group = old.get("group_size", 128) or 1
    if "ffn_mult" in old:
        width = int(first(old, "dim", "hidden_dim", default=256) * old["ffn_mult"])
        values["model.d_ff"] = math.ceil(width / group) * group
    if "n_heads" in old or "num_heads" in old:
        values.setdefault("model.n_kv_heads", values["model.n_heads"])
    length = first(old, "seq_len", "seq_length", "max_seq_len")
    if length is not None:
        values["model.context_length"] = length
    if "seq_len" not in old and "seq_length" not in old and length is not None:
        notes.append("max_seq_len: is the training length here; the earlier trainer took half of it by itself")
    if "vocab_size" in old:
        values |= {"data.tokenizer": "bpe", "data.vocab_size": old["vocab_size"]}
        notes.append("vocab_size: a byte-level BPE of this size is trained on your text; specials are included")
    if "n_eval_examples" in old and length is not None:
        values["evaluation.tokens"] = old["n_eval_examples"] * length
    if old.get("dataset") == "synthetic":
        values["data.sources"] = [{"kind": "synthetic", "documents": old.get("n_samples", 256)}]
    elif "n_samples" in old:
        notes.append("n_samples: left out: it counted synthetic samples")


def _streams(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    if "mhc_n_streams" in old or "use_mhc" in old:
        values["mhc.streams"] = old.get("mhc_n_streams", 2) if old.get("use_mhc", True) else 1
    if values.get("mhc.streams", 1) != 1:
        notes.append("mhc: the earlier system's streams stayed identical in training; here they differ")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


_CHECKS = {
    "number": (_is_number, "give a number"),
    "flag": (_is_flag, "give true or false"),
    "pair": (_is_pair, "give two numbers"),
}
# Numbers that the rules read, although they also have the same meaning here.
_READ = ("group_size", "dim", "hidden_dim", "n_layers", "num_layers", "total_steps", "warmup_steps")
_READ += ("newton_schulz_iters",)
_KINDS = [(name.rpartition(".")[2], *_CHECKS[kind.kind]) for name, kind in KEYS.items() if isinstance(kind, Derived)]
_KINDS += [(name, *_CHECKS["number"]) for name in _READ]


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _line(problem: Problem, where: str, places: Mapping[str, str]) -> str:
    place = nearest_above(problem.key, places) or sanitize_line(where)
    return f"{place}: {problem}" if place else str(problem)
