"""The README.md of a Hugging Face folder: what the model is, how it was trained, what its figures are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from nanocore.config.schema import Config
from nanocore.export.report import Facts
from nanocore.export.unquantised import ActivationEffect
from nanocore.runs.text import sanitize_line

TAGS = ("nanoconsole", "ternary", "bitnet")
LICENSE_ID = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")  # as the hub writes them: mit, apache-2.0
MARKUP = re.compile(r"[\\`*\[\]<>|~#]|^[-+=]")
USE = """\
Run it inside this folder{needs}:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."
model = AutoModelForCausalLM.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
tokens = tokenizer("def mean(values):", return_tensors="pt")
print(tokenizer.decode(model.generate(**tokens, max_new_tokens=40)[0]))
```

nanoconsole reads the folder too, and quantises activations as training did: `nanoconsole generate . --prompt "def "`.
"""


def model_card(
    config: Config, facts: Facts, class_name: str, form: str, effect: ActivationEffect | None, dropped: Sequence[str]
) -> str:
    """Markdown with the header that the hub reads. Text from outside stays on its line."""
    arithmetic = _arithmetic(config, form, effect)
    left_out = [f"Left out of this folder: {', '.join(dropped)}.", ""] if dropped else []
    needs = ", with `accelerate` installed" if form == "bitnet" else ""
    return "\n".join(
        (
            *_header(facts),
            *(f"# {_prose(facts.name)}", "", _prose(facts.description), "", _model(config, class_name), ""),
            *("## Weights and activations", "", arithmetic, "", *left_out),
            *_training(facts),
            *("## Use", "", USE.format(needs=needs)),
        )
    )


def _header(facts: Facts) -> list[str]:
    """The front matter, YAML. A licence that is no id of the hub's is its `other`, by its own name."""
    licence = facts.license.lower()
    known = LICENSE_ID.fullmatch(licence) is not None
    named = [] if known else [f"license_name: {_quoted(facts.license)}"]
    tags = ("tags:", *(f"- {tag}" for tag in TAGS))
    stated = f"license: {_quoted(licence if known else 'other')}"
    return ["---", stated, *named, "library_name: transformers", "pipeline_tag: text-generation", *tags, "---"]


def _training(facts: Facts) -> list[str]:
    if not facts.figures:
        return []
    rows = [f"| {_cell(key)} | {_cell(value)} |" for key, value in facts.figures.items()]
    return ["## Training", "", "| | |", "|---|---|", *rows, ""]


def _model(config: Config, class_name: str) -> str:
    model = config.model
    heads = f"{model.n_heads} query and {model.n_kv_heads} key-value heads of {config.head_dim}"
    shape = f"{model.n_layers} blocks, {model.d_model} wide, feed-forward {model.d_ff}, {heads}"
    return f"`{class_name}`: {shape}, context {model.context_length} tokens."


def _arithmetic(config: Config, form: str, effect: ActivationEffect | None) -> str:
    if config.model.linear == "float":
        return "All matrices are float32; the model was trained without quantisation."
    ternary = (
        "The matrices inside the blocks are ternary (BitNet b1.58), trained with 8-bit activations for each token."
    )
    if form == "bitnet":
        how = "They are stored as codes and scales, and run through transformers' BitNet layers"
        return f"{ternary} {how}, which quantise activations as training did."
    measured = f" Measured when this folder was written: {effect.sentence()}." if effect else ""
    return f"{ternary} Here they are multiplied out to float32, and activations are not quantised.{measured}"


def _quoted(text: str) -> str:
    """Any text as a YAML scalar on one line: JSON's quoting, and the two characters escaped that YAML forbids beside."""
    return json.dumps(_plain(text), ensure_ascii=False).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def _plain(text: str) -> str:
    return sanitize_line(text, 400)


def _prose(text: str) -> str:
    """Text from outside as Markdown shows it: nothing in it begins a block, a link or a tag."""
    return MARKUP.sub(r"\\\g<0>", _plain(text))


def _cell(value: object) -> str:
    return _prose(f"{value:.4g}" if isinstance(value, float) else str(value))
