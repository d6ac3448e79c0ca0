"""GGUF files, through the gguf package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Kind
from gguf import GGUFWriter

from nanocore.config.schema import Config
from nanocore.data.tokenizer import Tokenizer
from nanocore.errors import UsageError
from nanocore.export.architecture import STOCK, Architecture, stock_architecture
from nanocore.export.blocks import SCHEMES, Scheme, choose_format
from nanocore.export.metadata import general_keys, model_keys, own_keys
from nanocore.export.replace import write_new
from nanocore.export.report import ExportReport, Facts
from nanocore.export.slots import Slot, slots
from nanocore.export.tensors import Form, HeadType, ScaleMode, Stored, check_tokenizer, stored, weights_of
from nanocore.export.vocabulary import splitting_of, vocabulary_keys
from nanocore.model.transformer import Transformer

Choice = Literal["auto", "stock", "nanoconsole"]
Q8_0_COLUMNS = 32
MOST_NAME_BYTES = 63  # of a tensor, in ggml


def export_gguf(
    model: Transformer,
    tokenizer: Tokenizer,
    config: Config,
    path: Path,
    *,
    architecture: Choice = "auto",
    scheme: Scheme = "tq2_0",
    scale_mode: ScaleMode = "tensor",
    head: HeadType = "f16",
    facts: Facts | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write the model, its tokenizer and its configuration as one GGUF file.

    `architecture` "auto" takes the stock one that computes exactly what the model computes, else "nanoconsole", which
    this program runs; "stock" refuses instead, with the reasons. `scale_mode` "block" rounds scales to float16, for
    readers that know no `.scale` tensors. `head` is the type of embedding and head. Raises UsageError for what cannot
    be written so, and when `path` exists and `overwrite` is false; ResourceError when it cannot be written at all.
    """
    check_tokenizer(model, tokenizer)
    chosen, refused = _choose(config, architecture, scale_mode)
    if head == "q8_0" and config.model.d_model % Q8_0_COLUMNS:
        what = f"head type q8_0 takes widths that are multiples of {Q8_0_COLUMNS}, not {config.model.d_model}"
        raise UsageError(what, fix="use f16 or f32")
    form = Form(scheme, scale_mode, head, config.model.group_size)
    weights, places = weights_of(model), slots(config, tokenizer.vocab_size, chosen)
    facts = facts or Facts(path.stem)
    tensors = [each for slot in places for each in stored(slot, weights, form)]
    keys = {
        **general_keys(facts, chosen, _ternary_weights(places, tensors)),
        **model_keys(config, tokenizer.vocab_size, chosen),
        **vocabulary_keys(tokenizer),
        **own_keys(config, tokenizer.to_json()),
    }
    write_new(path, lambda file: _write(file, chosen, keys, tensors), overwrite=overwrite)
    types = Counter(each.type.name for each in tensors)
    notes = tuple(_notes(tokenizer, places, form, chosen))
    return ExportReport(path, chosen, path.stat().st_size, types, notes, _dropped(config, chosen), refused)


def _choose(config: Config, choice: Choice, mode: ScaleMode) -> tuple[Architecture, dict[str, str]]:
    """The architecture to write, and why each stock one is not it."""
    found, refused = stock_architecture(config)
    group = config.model.group_size
    if found and config.model.linear == "ternary" and group and mode == "tensor":
        what = f"a stock tensor has one scale, this model one for each {group} columns; scale mode block rounds them"
        refused |= {found: f"{what} to float16"}
        found = None
    if choice == "nanoconsole":
        return "nanoconsole", {}
    if found is None and choice == "stock":
        reasons = "; ".join(f"{name}: {refused[name]}" for name in STOCK)
        raise UsageError(f"no stock architecture computes this model ({reasons})", fix="export it as nanoconsole")
    return found or "nanoconsole", refused


def _ternary_weights(places: list[Slot], tensors: list[Stored]) -> Counter[Type]:
    """How many ternary weights each type holds."""
    sizes = {slot.name: prod(slot.shape) for slot in places if slot.role == "ternary"}
    found: Counter[Type] = Counter()
    for tensor in tensors:
        if tensor.name in sizes:
            found[tensor.type] += sizes[tensor.name]
    return found


def _dropped(config: Config, architecture: Architecture) -> tuple[str, ...]:
    if config.mtp.horizon and architecture != "nanoconsole":
        return (f"{config.mtp.horizon} prediction heads (MTP): {architecture} has no place for them",)
    return ()


def _notes(tokenizer: Tokenizer, places: list[Slot], form: Form, architecture: Architecture) -> Iterator[str]:
    """What a reader of the file should know."""
    group, usual = form.group if form.scale_mode == "block" else 0, SCHEMES[form.scheme]
    columns = Counter(slot.shape[-1] for slot in places if slot.role == "ternary")
    for width, count in sorted(columns.items()):
        kind = choose_format(form.scheme, width, group)
        if kind is not usual:
            name, unit = kind.type.name if kind else "F16", usual.columns
            what = f"{form.scheme} takes rows and scale groups of {unit} n columns, they have {width}"
            yield f"{count} matrices are {name}: {what}; the codes are the same"
    splitting = splitting_of(tokenizer)
    if not splitting.exact:
        share = f"{splitting.agreement:.1%}"
        yield f"other tools split text by the rule {splitting.name}, as ours in {share} of borders: some tokens differ"
    if form.scale_mode == "block":
        yield "scales are rounded to float16"
    if architecture == "nanoconsole":
        yield "stock tools list this file; only nanoconsole runs it"


def _write(file: Path, architecture: str, keys: Mapping[str, Any], tensors: list[Stored]) -> None:
    writer = GGUFWriter(file, architecture)
    for key, value in keys.items():
        if key != "general.architecture":  # the writer's own first key
            writer.add_key_value(key, value, _kind(key, value), _item_kind(value))
    for each in tensors:
        assert len(each.name.encode()) <= MOST_NAME_BYTES, each.name
        writer.add_tensor(each.name, np.ascontiguousarray(each.data), raw_dtype=each.type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _kind(key: str, value: Any) -> Kind:
    """GGUF's type of a value; numbers are 32 bits wide, but those of the training, which may outgrow them."""
    wide = key.startswith("nanoconsole.training.")
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, int):
        return Kind.INT64 if wide else Kind.UINT32
    if isinstance(value, float):
        return Kind.FLOAT64 if wide else Kind.FLOAT32
    return Kind.STRING if isinstance(value, str) else Kind.ARRAY


def _item_kind(value: Any) -> Kind | None:
    if not isinstance(value, list):
        return None
    return Kind.STRING if isinstance(value[0], str) else Kind.INT32
