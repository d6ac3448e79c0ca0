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
from nanocore.export.architecture import Architecture, stock_architecture
from nanocore.export.blocks import SCHEMES, BlockFormat, Scheme, choose_format
from nanocore.export.metadata import general_keys, model_keys, own_keys
from nanocore.export.replace import write_new
from nanocore.export.report import ExportReport, Facts
from nanocore.export.sealed import seal_gguf
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
    chosen, reason = _choose(config, architecture, scale_mode)
    form, places = _form(config, scheme, scale_mode, head), slots(config, tokenizer.vocab_size, chosen)
    weights = weights_of(model)
    tensors = [each for slot in places for each in stored(slot, weights, form)]
    facts, mostly = facts or Facts(path.stem), _ternary_weights(places, tensors)
    keys = {**general_keys(facts, chosen, mostly), **_model_and_tokenizer(config, tokenizer, chosen)}
    write_new(path, lambda file: _write(file, chosen, keys, tensors), overwrite=overwrite)
    types = Counter(each.type.name for each in tensors)
    notes = (*_only_here(chosen, reason), *_notes(tokenizer, places, form))
    return ExportReport(path, chosen, path.stat().st_size, types, notes, _dropped(config, chosen), reason)


def _choose(config: Config, choice: Choice, mode: ScaleMode) -> tuple[Architecture, str]:
    """The architecture to write, and why no stock one where "auto" takes our own."""
    if choice == "nanoconsole":
        return "nanoconsole", ""
    found, reason = stock_architecture(config)
    group = config.model.group_size
    if found and config.model.linear == "ternary" and group and mode == "tensor":
        reason = f"a stock tensor has one scale, this model one for each {group} columns of a row"
        found, reason = None, f"{reason} (--scale-mode block rounds them to float16)"
    if found is None and choice == "stock":
        raise UsageError(f"no stock architecture computes this model: {reason}", fix="use --architecture auto")
    return found or "nanoconsole", reason


def _form(config: Config, scheme: Scheme, scale_mode: ScaleMode, head: HeadType) -> Form:
    if head == "q8_0" and config.model.d_model % Q8_0_COLUMNS:
        what = f"--head q8_0 takes widths that are multiples of {Q8_0_COLUMNS}, not {config.model.d_model}"
        raise UsageError(what, fix="use --head f16 or f32")
    return Form(scheme, scale_mode, head, config.model.group_size)


def _model_and_tokenizer(config: Config, tokenizer: Tokenizer, architecture: Architecture) -> dict[str, Any]:
    return {
        **model_keys(config, tokenizer.vocab_size, architecture),
        **vocabulary_keys(tokenizer),
        **own_keys(config, tokenizer.to_json()),
    }


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


def _only_here(architecture: Architecture, reason: str) -> Iterator[str]:
    if architecture == "nanoconsole":
        yield "stock tools list this file, and only nanoconsole runs it" + (f": {reason}" if reason else "")


def _notes(tokenizer: Tokenizer, places: list[Slot], form: Form) -> Iterator[str]:
    """What a reader of the file should know of its weights and its tokens."""
    group = form.group if form.scale_mode == "block" else 0
    columns = Counter(slot.shape[-1] for slot in places if slot.role == "ternary")
    for width, count in sorted(columns.items()):
        if (kind := choose_format(form.scheme, width, group)) is not SCHEMES[form.scheme]:
            yield f"{_counted(count, kind)}: {_misfit(form.scheme, width, group)}; the codes are the same"
    splitting = splitting_of(tokenizer)
    if not splitting.exact:
        share = f"{splitting.agreement:.1%}"
        yield f"other tools split text by the rule {splitting.name}, as ours in {share} of borders: some tokens differ"
    if form.scale_mode == "block":
        yield "scales are rounded to float16"


def _counted(count: int, kind: BlockFormat | None) -> str:
    return f"{count} {'matrix is' if count == 1 else 'matrices are'} {kind.type.name if kind else 'F16'}"


def _misfit(scheme: Scheme, width: int, group: int) -> str:
    """Why blocks of `scheme` do not hold rows of `width` columns in groups of `group` (0: none)."""
    unit = SCHEMES[scheme].columns
    if width % unit:
        return f"{scheme} takes rows whose columns are a multiple of {unit}, not {width}"
    return f"{scheme} takes scale groups whose columns are a multiple of {unit}, not {group}"


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
    seal_gguf(file)


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
