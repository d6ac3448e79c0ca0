"""Generation: the same tokens as without a cache, whole characters, the end of a document, a full context."""

from __future__ import annotations

import pytest
import torch

from nanocore.data.tokenizer import ByteTokenizer
from nanocore.infer.generate import generate
from nanocore.infer.sampler import Sampler, Sampling
from nanocore.model.transformer import Transformer
from tests.models import make_model

BYTES = ByteTokenizer()
GREEDY = Sampling(temperature=0.0)


class Scripted(torch.nn.Module):
    """Stands in for a model: after any text it is sure of the next token of a script."""

    def __init__(self, script: list[int], room: int = 1000) -> None:
        super().__init__()
        self.model, self.script, self.calls = make_model(vocabulary=257, context_length=room), script, []
        self.config, self.new_cache, self.head_weight = self.model.config, self.model.new_cache, self.model.head_weight

    def forward(self, tokens: torch.Tensor, cache: object) -> torch.Tensor:
        self.calls.append(tokens[0].tolist())
        return torch.zeros(1, tokens.shape[1], 1)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(self.script[len(self.calls) - 1]), 257).float()


def text_of(model: torch.nn.Module, prompt: str = "a", tokens: int = 50, sampling: Sampling = GREEDY) -> list[str]:
    return list(generate(model, BYTES, prompt, tokens=tokens, sampling=sampling))  # type: ignore[arg-type]


def without_cache(model: Transformer, prompt: str, tokens: int, sampling: Sampling) -> str:
    """Reads the whole window for every token; a full window shrinks to its newer half."""
    sampler, room = Sampler(sampling), model.config.model.context_length
    window, drawn = [BYTES.bos, *BYTES.encode(prompt).tolist()], []
    for _ in range(tokens):
        with torch.no_grad():
            token = sampler.pick(model.logits(model(torch.tensor([window]))[0, -1]))
        if token == BYTES.bos:
            break
        drawn.append(token)
        window = [*(window if len(window) < room else window[-room // 2 :]), token]
    return BYTES.decode(drawn)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.0, top_k=40, seed=4)])
def test_generated_text_is_that_of_the_model_without_cache(sampling: Sampling) -> None:
    model = make_model(vocabulary=257, context_length=16, streams=2).double()
    text = "".join(text_of(model, "def f", 24, sampling))
    assert text == without_cache(model, "def f", 24, sampling)
    assert text


def test_characters_come_whole() -> None:
    script = list("é→x".encode())
    assert text_of(Scripted(script), tokens=len(script)) == ["é", "→", "x"]


def test_an_unfinished_character_at_the_end_is_replaced() -> None:
    assert text_of(Scripted(list("é".encode())), tokens=1) == ["\ufffd"]


def test_the_text_ends_where_the_model_begins_another_document() -> None:
    model = Scripted([*b"ab", BYTES.bos, *b"cd"])
    assert text_of(model) == ["a", "b"]


def test_nothing_is_read_for_no_tokens() -> None:
    model = Scripted([])
    assert text_of(model, tokens=0) == [] and model.calls == []


def test_the_model_reads_bos_and_the_prompt_once_and_then_one_token_at_a_time() -> None:
    model = Scripted(list(b"xyz"))
    text_of(model, "hé", tokens=3)
    assert model.calls == [[BYTES.bos, *"hé".encode()], [ord("x")], [ord("y")]]


def test_a_full_context_begins_anew_with_its_newer_half() -> None:
    model = Scripted(list(b"0123456789ABCDEF"), room=8)
    assert "".join(text_of(model, "ab", tokens=14)) == "0123456789ABCD"
    assert model.calls[0] == [BYTES.bos, *b"ab"]  # then 0 to 4 fill the eight places
    assert model.calls[6] == list(b"1234" + b"5")  # the newer half, and the token that found no place
    assert [len(call) for call in model.calls] == [3, 1, 1, 1, 1, 1, 5, 1, 1, 1, 5, 1, 1, 1]


def test_a_longer_prompt_is_read_from_its_end() -> None:
    model = Scripted(list(b"xy"), room=8)
    text_of(model, "0123456789", tokens=2)
    assert model.calls == [list(b"23456789"), list(b"6789x")]


def test_weights_are_quantised_again_after_generation() -> None:
    model = make_model(vocabulary=257)
    text_of(model, tokens=2, sampling=Sampling(seed=1))
    tokens = torch.tensor([[1, 2, 3]])
    before = model(tokens)
    with torch.no_grad():
        for block in model.blocks:
            block.attention.value.weight.neg_()
    assert not torch.equal(model(tokens), before)
