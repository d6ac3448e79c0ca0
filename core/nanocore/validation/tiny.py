"""The model that checks compute with: every kind of layer that matters to them, a fraction of a second to read."""

from __future__ import annotations

from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.data.tokenizer import ByteTokenizer
from nanocore.model.transformer import Transformer

BYTES = ByteTokenizer()
TABLE = {
    "model": {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48, "context_length": 24},
    "mhc": {"streams": 2},
    "data": {"sources": [{"kind": "synthetic", "documents": 8}], "tokenizer": "bytes"},
}


def tiny_config() -> Config:
    return build(TABLE)


def tiny_model(seed: int) -> Transformer:
    """A ternary model of bytes with grouped-query attention and two residual streams, its weights drawn from `seed`."""
    model = Transformer(tiny_config(), BYTES.vocab_size)
    model.initialise(seed)
    return model.eval()
