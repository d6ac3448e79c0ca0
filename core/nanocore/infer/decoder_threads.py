"""How many threads decode a model fastest here: measured once for a model's shape on this machine, then remembered.

More are not always better: hyperthreads share a core, and a small model's threads wait for each other longer than they
compute. The number changes no bit of what is decoded.
"""

from __future__ import annotations

import math
import time
from functools import partial

from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.packed_model import unsupported
from nanocore.model.bitlinear import TernaryModule
from nanocore.model.transformer import Transformer
from nanokernels import autotune, native

PROMPT, TOKENS = 16, 12  # read before the clock starts, and timed one by one


def fastest_threads(model: Transformer, most: int) -> int:
    """At most `most`; that number itself where the native decoder cannot run the model, and says so elsewhere."""
    if most == 1 or unsupported(model.config) or native.find().library is None:
        return most
    shape = model.config.model
    weights = sum(math.prod(module.ternary_shape) for module in model.modules() if isinstance(module, TernaryModule))
    what = f"decoding {shape.n_layers} layers of {shape.d_model}, {weights} ternary weights, {model.vocab_size} tokens"
    return autotune.choose_threads(what, most, partial(_seconds, model))


def _seconds(model: Transformer, threads: int) -> float:
    """Of the fastest token: what others do on a busy machine is not the model's doing."""
    decoder = NativeDecoder(model, threads=threads)
    start = min(PROMPT, decoder.room // 2)
    decoder.forward([0] * start)
    taken = []
    for _ in range(min(TOKENS, decoder.room - start)):
        began = time.perf_counter()
        decoder.forward([0])
        taken.append(time.perf_counter() - began)
    return min(taken)
