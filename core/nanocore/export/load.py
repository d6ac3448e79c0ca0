"""An exported file or folder as a model that computes. It holds codes and scales only, and cannot be trained."""

from __future__ import annotations

from pathlib import Path

import torch

from nanocore.config.schema import Config
from nanocore.data.tokenizer import Tokenizer
from nanocore.export.gguf_read import read_gguf
from nanocore.export.hf_read import read_hf
from nanocore.export.read_model import ReadModel
from nanocore.model.bitlinear import TernaryModule
from nanocore.model.transformer import Transformer


def load_gguf(
    path: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Transformer, Tokenizer, Config]:
    """The model of a GGUF file that `export_gguf` wrote, with exactly the codes and scales of the file.

    Raises FormatError for any other file. `dtype` is that of what is not ternary.
    """
    read = read_gguf(path)
    return build_model(read).to(device, dtype).eval(), read.tokenizer, read.config


def load_hf(path: Path) -> tuple[Transformer, Tokenizer, Config]:
    """The model of a folder that `export_hf` wrote, in float32 on the CPU: its ternary matrices are codes and scales again.

    So it quantises activations as training did, which transformers does with the form bitnet alone. Raises FormatError
    for any other folder.
    """
    read = read_hf(path)
    return build_model(read).eval(), read.tokenizer, read.config


def build_model(read: ReadModel) -> Transformer:
    """The model of what was read; a byte for each ternary weight, and no latent ones."""
    with torch.device("meta"):
        model = Transformer(read.config, read.tokenizer.vocab_size)
    for name, module in model.named_modules():
        if isinstance(module, TernaryModule):
            module.settle(read.weights.ternary[f"{name}.weight"])
    _, unexpected = model.load_state_dict(read.weights.floats, strict=False, assign=True)
    assert not unexpected, unexpected
    left = [name for name, tensor in model.state_dict().items() if tensor.is_meta]
    assert not left, left
    return model
