"""What a reading with drafts costs beside plain decoding, on a model of tiny-cpu's shape with the native decoder.

`python -m tests.bench.speculation` prints, for each kind of prediction heads, milliseconds for a plain token and for a
reading with drafts, medians of 5 interleaved rounds on one thread. Their quotient is how many tokens a reading must give
to be no slower; it can give at most one more than there are heads. The weights are untrained: time does not depend on them.
"""

from __future__ import annotations

import time
from itertools import islice
from statistics import median

import torch

from nanocore.config.resolve import resolve
from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.plain import plain
from nanocore.infer.request import Speculation
from nanocore.infer.sampler import Sampler, Sampling
from nanocore.infer.speculate import drafter_for, speculative
from nanocore.infer.window import Window
from nanocore.model.bitlinear import freeze
from nanocore.model.transformer import Transformer

VOCABULARY, PROMPT, TOKENS, ROUNDS = 2048, 100, 60, 5


def milliseconds(model: Transformer, backend: NativeDecoder, *, drafts: bool) -> float:
    """For a reading of the model: one token without drafts."""
    window = Window(backend, range(PROMPT), model.config.model.context_length)
    sampler, record = Sampler(Sampling(temperature=0.0), exempt=0), Speculation()
    if drafts:
        tokens = speculative(window, backend, drafter_for(model, backend), sampler, record, logprobs=False)
    else:
        tokens = plain(window, sampler, logprobs=False)
    next(tokens)  # reads the prompt
    record.forwards, began = 0, time.perf_counter()
    for _ in islice(tokens, TOKENS):
        pass
    return 1000 * (time.perf_counter() - began) / (record.forwards or TOKENS)


def main() -> None:
    torch.set_num_threads(1)
    for kind in ("independent", "sequential"):
        for heads in (1, 2):
            config = resolve("tiny-cpu", [f"mtp.horizon={heads}", f"mtp.kind='{kind}'"])
            model = Transformer(config, VOCABULARY)
            model.initialise(0)
            freeze(model)
            backend = NativeDecoder(model)
            rounds = [[milliseconds(model, backend, drafts=drafts) for drafts in (False, True)] for _ in range(ROUNDS)]
            token, reading = (median(each) for each in zip(*rounds, strict=True))
            even = f"{reading / token:.1f} tokens a reading to break even, {heads + 1} are possible"
            print(
                f"{kind}, {heads}: {token:.2f} ms a token, {reading:.2f} ms a reading with drafts; {even}", flush=True
            )


if __name__ == "__main__":
    main()
