"""Worker verbs that write text.

A request names `source` (a run, checkpoint folder or GGUF file) and `step`; `backend`, `threads`, `exit_threshold`; `tokens`, `stop`,
`speculate` and what Sampling takes. All but `source` may be left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nanocore.infer.refusals import refuse_speculation
from nanocore.worker.channel import Channel, Record
from nanocore.worker.source import located

if TYPE_CHECKING:
    from nanocore.data.tokenizer import Tokenizer
    from nanocore.infer.generation import Generation
    from nanocore.infer.open import Opened
    from nanocore.infer.request import Completion, Request

SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "repetition_window", "seed")
TOKENS = 200


def generate(request: Record, channel: Channel) -> None:
    """The text after `prompt`, in pieces, then `done`; or after each of `prompts`, which are read side by side."""
    asked, opened = _opened(request, channel)
    engine, began = opened.engine, time.monotonic()
    if "prompts" in request:
        completions = engine.complete(request["prompts"], asked)
        for index, completion in enumerate(completions):
            channel.answer({"kind": "text", "index": index, "text": completion.text})
        done: Record = {"texts": [_told(completion, asked, engine.tokenizer) for completion in completions]}
    else:
        done = _told(_written(engine.generate(request["prompt"], asked), channel.answer), asked, engine.tokenizer)
    seconds = round(time.monotonic() - began, 3)
    channel.answer({"kind": "done", **_model(opened), **done, "seconds": seconds})


def chat(request: Record, channel: Channel) -> None:
    """A conversation as one growing text: `ready`, then for every {"say": TEXT} pieces of the reply and `reply`.

    TEXT is added to the conversation as it is, and what the model writes after it. Whoever asks lays out turns. The i-th
    reply, from 0, draws with seed + i. Beside `say` stands what is to be otherwise for this reply: `tokens`, `stop` and
    what Sampling takes; with `fresh` the conversation begins anew.
    """
    _, opened = _opened(request, channel)
    engine, text, turn = opened.engine, str(request.get("text", "")), 0
    channel.answer({"kind": "ready", **_model(opened)})
    while isinstance((record := channel.next()).get("say"), str):
        began = time.monotonic()
        text, turn = ("", 0) if record.get("fresh") else (text, turn)
        text += record["say"]
        asked = _asked({**request, **record}).numbered(turn)
        generation = engine.generate(text, asked, reuse=True)
        channel.on_cancel(generation.cancel)
        completion = _written(generation, channel.answer)
        text, turn = text + completion.text, turn + 1
        told = _told(completion, asked, engine.tokenizer)
        channel.answer({"kind": "reply", **told, "seconds": round(time.monotonic() - began, 3)})
    channel.answer({"kind": "done"})


def _opened(request: Record, channel: Channel) -> tuple[Request, Opened]:
    source = located(request, channel)  # before torch: a mistake is told at once
    if request.get("speculate"):
        refuse_speculation(source)
    from nanocore.infer.open import open_engine

    asked = _asked(request)
    backend, threads = request.get("backend", "auto"), request.get("threads", 0)
    return asked, open_engine(source, backend=backend, threads=threads, exit_threshold=request.get("exit_threshold"))


def _asked(request: Record) -> Request:
    from nanocore.infer.request import Request
    from nanocore.infer.sampler import Sampling

    sampling = Sampling(**{key: request[key] for key in SAMPLING if key in request})
    return Request(
        tokens=request.get("tokens", TOKENS),
        sampling=sampling,
        stop=tuple(request.get("stop", ())),
        logprobs=bool(request.get("logprobs")),
        speculate=bool(request.get("speculate")),
    )


def _written(generation: Generation, answer: Callable[[Record], None]) -> Completion:
    for piece in generation:
        answer({"kind": "text", "text": piece, "tokens": generation.tokens})
    return generation.completion()


def _model(opened: Opened) -> Record:
    """What computed: `checkpoint` is the folder's or file's name, `passed_over` tells of damaged ones."""
    source, backend = opened.source, opened.engine.backend
    model = {"checkpoint": source.path.name, "passed_over": source.passed_over}
    return model | {"backend": backend.name, "reason": backend.reason}


def _told(completion: Completion, asked: Request, tokenizer: Tokenizer) -> Record:
    """`token_texts` are the tokens one by one, with U+FFFD for bytes that are a character only together."""
    facts: dict[str, Any] = {"text": completion.text, "finish": completion.finish}
    facts |= {"tokens": len(completion.tokens), "prompt_tokens": completion.prompt_tokens}
    facts["prompt_cut"] = completion.prompt_cut
    if asked.logprobs:
        facts |= {"token_ids": list(completion.tokens), "logprobs": [round(each, 6) for each in completion.logprobs]}
        facts["token_texts"] = [tokenizer.decode([token]) for token in completion.tokens]
    if (record := completion.speculation) is not None:
        facts["speculation"] = {
            "drafted": record.drafted,
            "accepted": record.accepted,
            "acceptance": round(record.acceptance, 4),
            "tokens_per_forward": round(record.tokens_per_forward, 4),
        }
    return facts
