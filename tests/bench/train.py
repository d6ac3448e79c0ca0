"""Training speed side by side: python -m tests.bench.train [--threads 1] [--rounds 5] [--steps 4] [--only VARIANT].

Each variant trains its real batches with its real optimizer step; rounds are interleaved so that the machine's noise
falls on all alike, and medians are printed with the ratio to the first variant.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.data.batch import Batch
from nanocore.data.prepare import prepare
from nanocore.data.stream import batches
from nanocore.model.transformer import Transformer
from nanocore.objective.goal import Goal
from nanocore.optim.optimizers import Optimizers
from nanocore.runs.layout import cache_root
from nanocore.train.distributed import World
from nanocore.train.hardware import Machine, choose_machine
from nanocore.train.step import take_step

VARIANTS: dict[str, tuple[str, list[str]]] = {
    "tiny-cpu": ("tiny-cpu", []),
    "tiny-cpu, one stream": ("tiny-cpu", ["mhc.streams=1", "mhc.dynamic=false"]),
    "tiny-cpu, float twin": ("tiny-cpu", ["model.linear=float"]),
    "nanogpt-cpu (float)": ("nanogpt-cpu", []),
}


@dataclass
class Variant:
    """One trainable configuration and its step times in seconds."""

    name: str
    config: Config
    model: Transformer
    optimizers: Optimizers
    stream: Iterator[tuple[Batch, dict[str, Any]]]
    seconds: list[float]

    def train(self, steps: int, machine: Machine) -> None:
        world = World(0, 1, machine.device)
        for _ in range(steps):
            batch, _ = next(self.stream)
            started = time.perf_counter()
            take_step(
                self.model,
                Goal(self.model, self.config, batch),
                self.optimizers,
                batch,
                machine=machine,
                world=world,
                accumulation=self.config.training.accumulation,
                grad_clip=self.config.optimizer.grad_clip,
                lr_factor=0.1,
                weight_decay_factor=1.0,
            )
            self.seconds.append(time.perf_counter() - started)

    def row(self, baseline: float) -> dict[str, Any]:
        rate = self.config.tokens_per_step / statistics.median(self.seconds)
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return {
            "variant": self.name,
            "parameters": parameters,
            "tokens_per_sec": round(rate),
            "ratio": round(rate / baseline, 3),
        }


def make(name: str) -> Variant:
    preset, sets = VARIANTS[name]
    config = resolve(preset, sets)
    corpus = prepare(config.data, cache=cache_root())
    model = Transformer(config, corpus.tokenizer.vocab_size)
    model.initialise(config.training.seed)
    return Variant(name, config, model, Optimizers(model, config), batches(corpus, config), [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--only", choices=VARIANTS, action="append", help="measure this variant; may be repeated")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    variants = [make(name) for name in arguments.only or VARIANTS]
    machine = choose_machine(variants[0].config.hardware)
    for variant in variants:
        variant.train(2, machine)  # warm-up
        variant.seconds.clear()
    for _ in range(arguments.rounds):
        for variant in variants:
            variant.train(arguments.steps, machine)
    baseline = variants[0].config.tokens_per_step / statistics.median(variants[0].seconds)
    facts = {**machine.facts(), "torch": str(torch.__version__)}
    print(json.dumps({"machine": facts, "rows": [variant.row(baseline) for variant in variants]}, indent=2))


if __name__ == "__main__":
    main()
