"""Speculative decoding: the same tokens as without, the same distribution, drafts by the formulas of training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise

import pytest
import torch
from torch import Tensor

from nanocore.config.schema import Config
from nanocore.data.tokenizer import ByteTokenizer
from nanocore.errors import UsageError
from nanocore.infer.backend import TorchBackend
from nanocore.infer.drafts import Drafter, Drafts, make_drafter
from nanocore.infer.engine import Engine
from nanocore.infer.plain import plain
from nanocore.infer.request import Drawn, Request, Speculation
from nanocore.infer.sampler import Sampler, Sampling
from nanocore.infer.speculate import drafter_for, speculative
from nanocore.infer.window import Window
from nanocore.model.transformer import Transformer
from tests.quick import quick

GREEDY = Sampling(temperature=0.0)
DRAWN = [Sampling(temperature=1.0), Sampling(temperature=0.7, top_p=0.9, min_p=0.2)]
SHAPE = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48, "context_length": 24}
KINDS = {
    "independent": {"mtp": {"horizon": 3}},
    "sequential": {"mtp": {"horizon": 3, "kind": "sequential"}},
    "streams": {"mtp": {"horizon": 2}, "mhc": {"streams": 2, "dynamic": True}},
    "loop": {"mtp": {"horizon": 2}, "loop": {"count": 2, "before": 1}},
    "experts": {"mtp": {"horizon": 2}, "moe": {"experts": 4, "active": 2, "d_expert": 16}},
}


VOCABULARY = 7  # so few that untrained heads often guess right


def make(kind: str, seed: int = 0, vocabulary: int = VOCABULARY) -> Transformer:
    """In float64: no rounding flips."""
    model = Transformer(Config.model_validate({"model": SHAPE, **KINDS[kind]}), vocabulary)
    model.initialise(seed)
    return model.double().eval()


def without(model: Transformer, sampling: Sampling, count: int = 36) -> list[Drawn]:
    backend, sampler = TorchBackend(model), Sampler(sampling)
    window = Window(backend, [0, 3, 1, 2], model.config.model.context_length)
    return list(islice(plain(window, sampler, logprobs=True), count))


def drafted(model: Transformer, sampling: Sampling, count: int = 36) -> tuple[list[Drawn], Speculation]:
    backend, sampler, record = TorchBackend(model), Sampler(sampling), Speculation()
    window = Window(backend, [0, 3, 1, 2], model.config.model.context_length)
    tokens = speculative(window, backend, drafter_for(model, backend), sampler, record, logprobs=True)
    return list(islice(tokens, count)), record


@pytest.mark.parametrize("kind", quick(KINDS, "sequential"))
def test_greedy_tokens_are_those_without_speculation_also_past_the_context(kind: str) -> None:
    model, sampling = make(kind), Sampling(temperature=0.0, repetition_penalty=1.3, repetition_window=5)
    expected, (found, record) = without(model, sampling), drafted(model, sampling)
    assert [each.token for each in found] == [each.token for each in expected]
    assert [each.logprob for each in found] == pytest.approx([each.logprob for each in expected], abs=1e-9)
    assert len({each.token for each in found}) > 2
    assert 0 < record.accepted < record.drafted


def test_accepted_drafts_save_readings_of_the_model() -> None:
    found, record = drafted(make("independent"), GREEDY)
    assert record.drawn == len(found) == 36
    # Each reading gives its accepted drafts and one token more, but for what was not taken of the last.
    assert 0 <= record.accepted + record.forwards - record.drawn <= 3
    assert record.tokens_per_forward == record.drawn / record.forwards > 1
    assert record.acceptance == record.accepted / record.drafted


@pytest.mark.parametrize("kind", ["independent", "sequential"])
def test_drafts_are_what_the_heads_of_training_say(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draft, after whatever was accepted and refused before, against the heads on the whole text at once."""
    model, checked = make(kind), []
    drafter = type(make_drafter(model))
    original = drafter.draft

    def draft(self: Drafter, window: Sequence[int], text: Sequence[int], sampler: Sampler, count: int) -> Drafts:
        found = original(self, window, text, sampler, count)  # type: ignore[arg-type]
        if found.tokens:
            checked.append((found.probabilities, from_training(model, window, text, found.tokens, sampler)))
        return found

    monkeypatch.setattr(drafter, "draft", draft)
    _, record = drafted(model, Sampling(temperature=0.02, repetition_penalty=1.3, seed=3))
    assert 0 < record.accepted < record.drafted
    assert len(checked) > 5
    assert all(all(map(torch.allclose, drafts, expected)) for drafts, expected in checked)


@torch.no_grad()
def from_training(
    model: Transformer, window: Sequence[int], text: Sequence[int], drafts: list[int], sampler: Sampler
) -> list[Tensor]:
    """What the heads say as the loss reads them, at the last position that was read."""
    heads, tokens = model.prediction_heads, torch.tensor([[*window, *drafts]])
    assert heads is not None
    hidden, at = model(tokens), len(window) - 2
    if heads.sequential:
        states = list(heads.chain(hidden, tokens, model.embedding, model.context(tokens, None, None)))
    else:
        states = [heads.independent(index, hidden) for index in range(len(drafts))]
    logits = [model.logits(state[0, at]) for state in states[: len(drafts)]]
    return [sampler.distribution(each, [*text, *drafts[:index]]) for index, each in enumerate(logits)]


class Markov:
    """A backend whose next token depends on the last alone; hidden states are the token's number."""

    name, reason, rewinds = "markov", "", True

    def __init__(self, table: Tensor) -> None:
        self.table, self.length, self.hidden = table, 0, None

    def forward(self, tokens: Sequence[int], *, every: bool = False) -> Tensor:
        self.length += len(tokens)
        self.hidden: Tensor | None = torch.tensor(tokens)[:, None] if every else None
        logits = self.table[list(tokens)].log()
        return logits if every else logits[-1]

    def truncate(self, length: int) -> None:
        self.length = min(self.length, length)


class Guesser(Drafter):
    """Drafts from a fixed distribution that has little to do with the model's."""

    horizon = 2

    def __init__(self, guess: Tensor) -> None:
        self.guess = guess

    def take(self, hidden: Tensor, end: int, held: int) -> None:
        pass

    def draft(self, window: Sequence[int], text: Sequence[int], sampler: Sampler, count: int) -> Drafts:
        drafts = Drafts([], [])
        for _ in range(min(count, self.horizon)):
            q = sampler.distribution(self.guess.log(), [*text, *drafts.tokens])
            drafts.probabilities.append(q)
            drafts.tokens.append(sampler.draw(q))
        return drafts


TABLE = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.25, 0.25, 0.5]])
GUESS = torch.tensor([0.2, 0.3, 0.5])


@pytest.mark.parametrize("sampling", quick(DRAWN, DRAWN[0]))
def test_drawn_tokens_have_the_models_own_distribution(sampling: Sampling) -> None:
    """Of a long text, how often each token follows each two others, by chi-squared: only the last one matters."""
    backend, sampler, record = Markov(TABLE), Sampler(sampling), Speculation()
    tokens = speculative(Window(backend, [0], 500), backend, Guesser(GUESS), sampler, record, logprobs=False)
    text = [each.token for each in islice(tokens, 2000)]
    assert 0.3 < record.acceptance < 0.95
    pairs, triples = Counter(pairwise(text[:-1])), Counter(zip(text, text[1:], text[2:], strict=False))
    step = [sampler.distribution(row.log()).tolist() for row in TABLE]
    expected = {(a, b, c): count * p for (a, b), count in pairs.items() for c, p in enumerate(step[b]) if p}
    assert set(triples) <= set(expected)
    free = len(expected) - len(pairs)
    assert sum((triples[key] - count) ** 2 / count for key, count in expected.items()) < free + 5 * math.sqrt(2 * free)


def test_a_draft_that_is_as_likely_as_in_the_model_is_never_refused() -> None:
    table, record = GUESS.expand(3, 3), Speculation()
    backend, sampler = Markov(table), Sampler(Sampling(temperature=1.0))
    tokens = speculative(Window(backend, [0], 100), backend, Guesser(GUESS), sampler, record, logprobs=False)
    for _ in range(40):
        next(tokens)
    assert record.accepted >= record.drafted - 2 > 20


def test_models_that_cannot_speculate_are_refused_with_the_reason() -> None:
    request = Request(5, GREEDY, speculate=True)
    without = Transformer(Config.model_validate({"model": SHAPE}), 257)
    with pytest.raises(UsageError, match="prediction heads"):
        Engine(without, ByteTokenizer()).generate("a", request)
    recurrent = Transformer(
        Config.model_validate({"model": SHAPE, "mtp": {"horizon": 1}, "delta": {"pattern": "DA"}}), 257
    )
    with pytest.raises(UsageError, match="recurrent"):
        Engine(recurrent, ByteTokenizer()).generate("a", request)


def test_the_seed_alone_decides_a_speculative_text() -> None:
    model = make("independent")
    texts = [drafted(model, Sampling(temperature=1.0, seed=seed), 20)[0] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_the_engine_tells_how_the_drafts_fared() -> None:
    done = (
        Engine(make("independent", vocabulary=257), ByteTokenizer())
        .generate("def f(", Request(20, GREEDY, speculate=True))
        .finished()
    )
    assert done.speculation is not None
    assert done.speculation.forwards <= done.speculation.drawn == len(done.tokens)
