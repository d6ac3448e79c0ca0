"""What the worker tells of the texts that it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nanocore
from nanocore.worker.text import generate
from tests.saved import BYTES, saved_run


class Answers(list[dict[str, Any]]):
    """A channel that keeps what is answered."""

    answer = list.append


@pytest.mark.parametrize("prompts", [{"prompt": "def " * 20}, {"prompts": ["def " * 20, "x"]}])
def test_tokens_with_their_log_probabilities_and_what_of_the_prompt_was_not_read(
    tmp_path: Path, prompts: dict[str, Any]
) -> None:
    """The context is 32 tokens; each byte is one, and the prompt has one more, BOS."""
    run, answers = saved_run(tmp_path), Answers()
    request = {"source": str(run.path), "backend": "torch", "threads": 1, "tokens": 5, "logprobs": True, **prompts}
    generate(request, answers)  # type: ignore[arg-type]
    done = answers[-1]
    model = nanocore.load(run.path, backend="torch", threads=1)
    expected = model.generate(prompts.get("prompts", [prompts.get("prompt")]), tokens=5, logprobs=True, top_k=0)
    for told, completion in zip(done.get("texts", [done]), expected, strict=True):
        assert told["token_ids"] == list(completion.tokens)
        assert told["token_texts"] == [BYTES.decode([token]) for token in completion.tokens]
        assert told["logprobs"] == pytest.approx(completion.logprobs, abs=1e-5)
        assert told["prompt_cut"] == completion.prompt_cut == max(told["prompt_tokens"] - 32, 0)
    assert done.get("texts", [done])[0]["prompt_cut"] == 49
