"""Stock llama.cpp and transformers compute from our files what we compute; run with the oracle group installed.

llama.cpp quantises activations in blocks of 256 (32 beside Q4_0 weights), we whole tokens. So its logits are compared
with ours under an emulation of its quantiser, tightly, and with ours as trained, loosely: that gap no file can close.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nanocore.data.bpe import train_bpe
from nanocore.data.byte_level import PROBE
from nanocore.data.tokenizer import ByteTokenizer, Tokenizer
from nanocore.export.hugging_face import export_hf
from nanocore.export.load import load_gguf
from nanocore.export.unquantised import float_twin
from nanocore.infer.generate import generate
from nanocore.infer.sampler import Sampling
from nanocore.model import ternary_products
from nanocore.model.quantize import TernaryWeight, TokenCodes
from nanocore.model.transformer import Transformer
from tests.exports import BITNET, NO_NORMS, export, exported_model
from tests.models import descend, next_token_loss, random_tokens

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(600)]

WIDE = ("model.d_model=256", "model.d_ff=512", "model.n_heads=4", "model.n_kv_heads=2", "model.context_length=64")
EXPERTS = ("moe.experts=4", "moe.active=2", "moe.d_expert=256")
CASES = {
    "qwen3": (),
    "untied": ("model.tie_embeddings=false",),
    "odd-width": ("model.d_ff=96",),
    "llama": NO_NORMS,
    "bitnet": BITNET,
    "hy_v3": EXPERTS,
    "hy_v3-shared": (*EXPERTS, "moe.shared=1", "moe.every=2"),
    "hy_v3-one": ("moe.experts=4", "moe.active=1", "moe.d_expert=256"),
}
INHERENT = 0.05  # largest relative difference to our own activations; 0.4 to 2 % were seen


def errors(found: Tensor, expected: Tensor) -> Tensor:
    """Relative error of the logits (..., V) of each token."""
    return ((found.double() - expected.double()).norm(dim=-1) / expected.double().norm(dim=-1)).flatten()


def same_best(found: Tensor, expected: Tensor) -> float:
    return float((found.argmax(-1) == expected.argmax(-1)).double().mean())


def check_equal(found: Tensor, expected: Tensor, most: float) -> None:
    """Equal but for activations on the border between two codes: rounding decides those, and what follows differs.

    Of short texts most tokens come before the first of them, so half of the errors are those of float32 alone.
    """
    each = errors(found, expected)
    assert each.quantile(0.25) < 1e-5 and each.median() < most, each.sort().values
    assert each.max() < INHERENT and same_best(found, expected) > 0.95


@contextmanager
def stock(path: Path) -> Iterator[Any]:
    """The file in llama.cpp with a float32 cache."""
    llama_cpp = pytest.importorskip("llama_cpp")
    client = llama_cpp.Llama(
        str(path), n_ctx=256, logits_all=True, type_k=0, type_v=0, flash_attn=False, n_threads=1, verbose=False
    )
    try:
        yield client
    finally:
        client.close()


def stock_logits(client: Any, tokens: list[int]) -> Tensor:
    client.reset()
    client.eval(tokens)
    return torch.from_numpy(np.array(client.scores[: len(tokens)]))


def quantised(x: Tensor) -> Tensor:
    """What ggml makes of activations: Q8_K beside ternary blocks of 256, else Q8_0, whose factors are float16."""
    if x.shape[-1] % 256 == 0:
        blocks = x.float().unflatten(-1, (-1, 256))
        largest = blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True))
        inverse = torch.where(largest == 0, 0.0, -127 / largest)
        codes, factors = (blocks * inverse).round().clamp(max=127), torch.where(largest == 0, 0.0, 1 / inverse)
    else:
        blocks = x.float().unflatten(-1, (-1, 32))
        exact = blocks.abs().amax(-1, keepdim=True) / 127
        codes, factors = (blocks * torch.where(exact == 0, 0.0, 1 / exact)).round(), exact.half().float()
    return (codes.double() * factors.double()).flatten(-2)


@contextmanager
def ggml_activations(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def product(tokens: TokenCodes, matrix: TernaryWeight, dtype: torch.dtype) -> Tensor:
        return (quantised(tokens.codes) @ matrix.dequantise().double().mT).to(dtype)

    with monkeypatch.context() as patch:
        patch.setattr(ternary_products, "token_codes", lambda x: TokenCodes(x, x.new_ones(len(x), 1)))
        patch.setattr(ternary_products, "scaled_product", product)
        yield


@torch.no_grad()
def logits(model: Transformer, tokens: Tensor) -> Tensor:
    return model.logits(model(tokens))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", [{}, {"scheme": "tq1_0"}, {"scale_mode": "block"}], ids=["tq2_0", "tq1_0", "block"])
def test_llama_cpp_computes_the_same_logits(
    name: str, form: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = exported_model(*WIDE, *CASES[name]), tmp_path / "model.gguf"
    assert export(model, path, architecture="stock", **form).architecture != "nanoconsole"
    texts = random_tokens(12, 6, 256, seed=4)
    with stock(path) as client:
        theirs = torch.stack([stock_logits(client, tokens.tolist()) for tokens in texts])
    loaded, _, _ = load_gguf(path, dtype=torch.float64)
    with ggml_activations(monkeypatch):
        check_equal(theirs, logits(loaded, texts), 2e-3)
    ours = logits(loaded, texts)
    assert errors(theirs, ours).median() < INHERENT
    assert same_best(theirs, ours) > 0.8


def learnt(text: str, tokenizer: Tokenizer, *sets: str) -> Transformer:
    """A model that knows the beginning of the text by heart, so that no two tokens are ever nearly as good."""
    model = exported_model(*WIDE, *sets, vocabulary=tokenizer.vocab_size).train()
    tokens = torch.tensor([[tokenizer.bos, *tokenizer.encode(text).tolist()][:49]])
    for step in range(60):
        model.zero_grad()
        next_token_loss(model, tokens).backward()
        descend(model, 3e-3 * (1 - step / 60))
    return model.eval()


@pytest.mark.parametrize("sets", [(), BITNET, NO_NORMS], ids=["qwen3", "bitnet", "llama"])
def test_llama_cpp_writes_the_same_greedy_text(sets: tuple[str, ...], tmp_path: Path) -> None:
    text, tokenizer = "def add(first, second):\n    return first + second", ByteTokenizer()
    model = learnt(text, tokenizer, *sets)
    export(model, tmp_path / "model.gguf", head="f16")
    ours = "".join(generate(model, tokenizer, text[:8], tokens=36, sampling=Sampling(temperature=0.0)))
    with stock(tmp_path / "model.gguf") as client:
        theirs = client.create_completion(text[:8], max_tokens=36, temperature=0.0)["choices"][0]["text"]
    assert theirs == ours and len(ours) == 36
    assert text[8:].startswith(ours[:20])


def real_text() -> list[str]:
    """Source code that is here anyway, and every kind of character."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:40]
    return [*(file.read_text(encoding="utf-8", errors="replace")[:20_000] for file in files), PROBE]


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
def test_llama_cpp_makes_the_same_tokens_of_real_text(kind: str, tmp_path: Path) -> None:
    texts = real_text()
    tokenizer = ByteTokenizer() if kind == "bytes" else train_bpe(texts, 1000)
    export(exported_model(*WIDE, vocabulary=tokenizer.vocab_size), tmp_path / "model.gguf", tokenizer)
    with stock(tmp_path / "model.gguf") as client:
        for text in texts:
            theirs = client.tokenize(text.encode(), add_bos=True, special=False)
            assert theirs == [tokenizer.bos, *tokenizer.encode(text).tolist()]


def test_llama_cpp_says_that_it_does_not_know_our_own_architecture(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    export(exported_model("mhc.streams=2"), tmp_path / "model.gguf")
    with pytest.raises(ValueError, match="Failed to load model"), stock(tmp_path / "model.gguf"):
        pass


@pytest.mark.parametrize(
    "sets", [(), ("model.tie_embeddings=false", *NO_NORMS), BITNET], ids=["qwen3", "llama", "bitnet"]
)
@pytest.mark.parametrize("form", ["plain", "bitnet"])
def test_transformers_computes_the_same_logits(
    form: Any,
    sets: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`bitnet` is our model to float32's rounding, `plain` the same without quantised activations."""
    transformers = pytest.importorskip("transformers")
    if form == "bitnet":
        pytest.importorskip("accelerate")
    model, tokens = exported_model(*WIDE, *sets), random_tokens(12, 6, 257)
    export_hf(model, ByteTokenizer(), model.config, tmp_path / "hf", form=form)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf")
    with torch.no_grad():
        theirs = loaded(tokens).logits
    same, other = (float_twin(model), model) if form == "plain" else (model, float_twin(model))
    check_equal(theirs, logits(same, tokens), 2e-3)
    assert 1e-3 < errors(theirs, logits(other, tokens)).median() < INHERENT
    card = (tmp_path / "hf" / "README.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", card, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path / "hf")
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.startswith("<|bos|>def mean(values):")
    text = "héllo <x>\n\n  wörld"
    ids = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")(text)["input_ids"]
    assert ids == [256, *ByteTokenizer().encode(text).tolist()]
