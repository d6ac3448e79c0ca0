"""From a trained model to its file and back into the native decoder: the very bits of the model itself.

What the decoder computes of a model in memory is compared with training's forward pass in test_infer_native.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nanocore.data.tokenizer import ByteTokenizer
from nanocore.export.hugging_face import export_hf
from nanocore.export.load import load_gguf, load_hf
from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.packed_model import unsupported
from nanocore.model.bitlinear import freeze
from nanokernels import native
from tests.exports import CASES, MAIN, export, exported_model
from tests.native_models import random_tokens
from tests.quick import quick

pytestmark = pytest.mark.skipif(native.find().library is None, reason=f"not run: {native.find().reason}")
PACKED = [name for name, (sets, _) in CASES.items() if not unsupported(exported_model(*sets).config)]


@pytest.mark.parametrize("name", quick(PACKED, *(name for name in MAIN if name in PACKED)))
def test_the_decoder_computes_the_file_as_it_computes_the_model(name: str, tmp_path: Path) -> None:
    model = exported_model(*CASES[name][0])
    freeze(model)
    export(model, tmp_path / "model.gguf")
    loaded, _, config = load_gguf(tmp_path / "model.gguf")
    tokens = random_tokens(config.model.context_length - 2)
    decoders = [NativeDecoder(each) for each in (model, loaded)]
    logits = [decoder.forward(tokens, every=True) for decoder in decoders]
    assert logits[0].std() > 1e-3
    assert torch.equal(*logits)
    assert torch.equal(*(decoder.forward([7]) for decoder in decoders))


@pytest.mark.parametrize(("name", "form"), [("gqa", "plain"), ("groups", "plain"), ("bitnet", "bitnet")])
def test_the_decoder_computes_the_folder_as_it_computes_the_model(name: str, form: Any, tmp_path: Path) -> None:
    model = exported_model(*CASES[name][0])
    freeze(model)
    export_hf(model, ByteTokenizer(), model.config, tmp_path / "hf", form=form)
    loaded, _, config = load_hf(tmp_path / "hf")
    tokens = random_tokens(config.model.context_length - 2)
    assert torch.equal(*(NativeDecoder(each).forward(tokens, every=True) for each in (model, loaded)))


def test_every_kind_but_float_reaches_the_decoder() -> None:
    assert set(CASES) - set(PACKED) == {"float", "fp4", "fp4-backward"}
