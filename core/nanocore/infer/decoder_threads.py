"""How many threads decode a model fastest here: measured once for a model's shape on this machine, then remembered.

More are not always better: hyperthreads share a core, and a small model's threads wait for each other longer than they
compute. The number changes no bit of what is decoded.
"""

from __future__ import annotations

import hashlib
import math
import time
from functools import partial

from nanocore.infer.native_decoder import NativeDecoder
from nanocore.infer.packed_model import fastest_layout, unsupported
from nanocore.model.bitlinear import TernaryModule
from nanocore.model.transformer import Transformer
from nanokernels import autotune, native

PROMPT, TOKENS = 16, 12  # read before the clock starts, and timed one by one


def fastest_threads(model: Transformer, most: int) -> int:
    """At most `most`; that number itself where the native decoder cannot run the model, and says so elsewhere."""
    if most == 1 or unsupported(model.config) or native.find().library is None:
        return most
    return autotune.choose_threads(_description(model), most, partial(_seconds, model))


def _description(model: Transformer) -> str:
    """What the time of a token depends on: in words as far as they go, and all of it as a hash."""
    config, shape = model.config, model.config.model
    weights = sum(math.prod(module.ternary_shape) for module in model.modules() if isinstance(module, TernaryModule))
    parts = [section.model_dump_json() for section in (shape, config.mhc, config.loop, config.moe, config.delta)]
    shapes = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    return (
        f"decoding {shape.n_layers} layers of {shape.d_model}, {weights} ternary weights in {fastest_layout(model)}, "
        f"{model.vocab_size} tokens, shape {shapes}"
    )


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
