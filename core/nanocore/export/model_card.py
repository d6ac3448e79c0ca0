"""The README.md of a Hugging Face folder: what the model is, how it was trained, what its figures are."""

from __future__ import annotations

from collections.abc import Sequence

from nanocore.config.schema import Config
from nanocore.export.report import Facts
from nanocore.export.unquantised import ActivationEffect
from nanocore.runs.text import sanitize_line


def model_card(
    config: Config, facts: Facts, class_name: str, form: str, effect: ActivationEffect | None, dropped: Sequence[str]
) -> str:
    """Markdown with the header that the hub reads. Text from outside stays on its line."""
    front = ["---", f"license: {_plain(facts.license)}", "library_name: transformers", "pipeline_tag: text-generation"]
    front += ["tags:", "- nanoconsole", "- ternary", "- bitnet", "---"]
    body = [f"# {_plain(facts.name)}", "", _plain(facts.description), "", _model(config, class_name), ""]
    body += ["## Weights and activations", "", _arithmetic(config, form, effect), ""]
    if dropped:
        body += [f"Left out of this folder: {', '.join(dropped)}.", ""]
    if facts.figures:
        rows = [f"| {_cell(key)} | {_cell(value)} |" for key, value in facts.figures.items()]
        body += ["## Training", "", "| | |", "|---|---|", *rows, ""]
    usage = "model = AutoModelForCausalLM.from_pretrained(folder)\ntokenizer = AutoTokenizer.from_pretrained(folder)"
    imports = "from transformers import AutoModelForCausalLM, AutoTokenizer"
    body += ["## Use", "", "```python", imports, "", usage, "```", ""]
    return "\n".join(front + body)


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
        how = (
            "They are stored as codes and scales, and run through transformers' BitNet layers (`accelerate` is needed)"
        )
        return f"{ternary} {how}, which quantise activations as training did."
    measured = f" Measured when this folder was written: {effect.sentence()}." if effect else ""
    return f"{ternary} Here they are multiplied out to float32, and activations are not quantised.{measured}"


def _plain(text: str) -> str:
    return sanitize_line(text, 400)


def _cell(value: object) -> str:
    return _plain(f"{value:.4g}" if isinstance(value, float) else str(value)).replace("|", "\\|")
