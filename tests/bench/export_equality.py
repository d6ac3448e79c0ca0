"""How equal exports compute, the figures of docs/export.md: python -m tests.bench.export_equality

Needs llama-cpp-python, transformers and accelerate. Randomly drawn models of each stock architecture, two blocks, 256 wide;
twelve texts of six tokens; the relative error of one token's logits, its median over all tokens.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nanocore.data.tokenizer import ByteTokenizer
from nanocore.export.hf_names import HfForm
from nanocore.export.hugging_face import export_hf
from nanocore.export.load import load_gguf, load_hf
from nanocore.export.unquantised import float_twin
from nanocore.model.transformer import Transformer
from tests.exports import BITNET, NO_NORMS, export, exported_model
from tests.models import random_tokens
from tests.oracles import WIDE, errors, ggml_activations, logits, stock, stock_logits

DENSE = {"qwen3": (), "qwen3, untied": ("model.tie_embeddings=false",), "llama": NO_NORMS, "bitnet": BITNET}
EXPERTS = {"hy_v3": ("moe.experts=4", "moe.active=2", "moe.d_expert=256")}
FORMS: tuple[HfForm, ...] = ("plain", "bitnet")
ROUNDING = 1e-5  # what only rounds differently stays below it


class Measured(NamedTuple):
    """What was compared, and the relative error of each token's logits."""

    compared: str
    errors: Tensor


def gguf_file(model: Transformer, texts: Tensor, path: Path) -> Iterator[Measured]:
    """The file read here, and by llama.cpp."""
    export(model, path, architecture="stock")
    same, exact = load_gguf(path)[0], load_gguf(path, dtype=torch.float64)[0]
    trained = logits(exact, texts)
    yield Measured("model and file in nanoconsole", errors(logits(same, texts), logits(model, texts)))
    yield Measured("our forward in float32 and in float64", errors(logits(model, texts), trained))
    with stock(path) as client:
        theirs = torch.stack([stock_logits(client, tokens.tolist()) for tokens in texts])
    with ggml_activations():
        emulated = logits(exact, texts)
    yield Measured("llama.cpp and our forward under its quantiser", errors(theirs, emulated))
    yield Measured("llama.cpp and our forward as trained", errors(theirs, trained))


def folder(model: Transformer, texts: Tensor, form: HfForm, path: Path) -> Iterator[Measured]:
    """The folder read here, and by transformers."""
    export_hf(model, ByteTokenizer(), model.config, path, form=form)
    trained = logits(model, texts)
    yield Measured(f"model and folder in nanoconsole, {form}", errors(logits(load_hf(path)[0], texts), trained))
    with torch.no_grad():
        theirs = import_module("transformers").AutoModelForCausalLM.from_pretrained(path)(texts).logits
    yield Measured(f"transformers, {form}, and our forward as trained", errors(theirs, trained))
    if form == "plain":
        floats = logits(float_twin(model), texts)
        yield Measured("transformers, plain, and our forward without 8-bit activations", errors(theirs, floats))


def measure() -> dict[str, dict[str, Tensor]]:
    """Errors by what was compared, then by model."""
    found: dict[str, dict[str, Tensor]] = defaultdict(dict)
    texts = random_tokens(12, 6, 256, seed=4)
    with tempfile.TemporaryDirectory() as name:
        for kind, sets in (DENSE | EXPERTS).items():
            model, place = exported_model(*WIDE, *sets), Path(name) / kind
            measured = [*gguf_file(model, texts, place.with_suffix(".gguf"))]
            for form in FORMS if kind in DENSE else ():
                measured += folder(model, texts, form, place.with_suffix(f".{form}"))
            for each in measured:
                found[each.compared][kind] = each.errors
    return found


def row(compared: str, models: dict[str, Tensor]) -> str:
    """Least and largest median among the models; of all tokens those beyond rounding, and the largest error."""
    medians = sorted(float(each.median()) for each in models.values())
    every = torch.cat(list(models.values()))
    beyond = float((every > ROUNDING).double().mean())
    return f"| {compared} | {medians[0]:.1e} to {medians[-1]:.1e} | {beyond:.0%} | {float(every.max()):.1e} |"


def main() -> None:
    torch.set_num_threads(1)
    versions = ", ".join(f"{name} {import_module(name).__version__}" for name in ("llama_cpp", "transformers"))
    print(versions)
    print(
        f"| compared | median, least to largest of the models | tokens beyond {ROUNDING:.0e} | largest |\n|---|---|---|---|"
    )
    for compared, models in measure().items():
        print(row(compared, models), flush=True)


if __name__ == "__main__":
    main()
