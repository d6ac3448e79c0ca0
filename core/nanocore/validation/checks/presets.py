"""Check: every built-in preset is valid; with --full its model on the meta device has exactly what is estimated."""

from __future__ import annotations

import torch

from nanocore.config.estimate import estimate, vocabulary
from nanocore.config.presets import presets
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.model.transformer import Transformer
from nanocore.optim.optimizers import Optimizers
from nanocore.validation.outcome import Found, expect
from nanocore.validation.workshop import Workshop


def check(workshop: Workshop) -> Found:
    configs = {preset.name: resolve(preset.name) for preset in presets() if preset.origin == "built-in"}
    expect(bool(configs), "no built-in preset", "the presets of this program")
    counts = {name: estimate(config).parameters for name, config in configs.items()}
    wrong = [name for name, count in counts.items() if count <= 0]
    expect(not wrong, f"{wrong[:1]} has no parameters", "a model in each")
    if workshop.full:
        for name, config in configs.items():
            _built(name, config)
    least, most = min(counts.values()), max(counts.values())
    how = (
        "built without memory: parameters and optimizer bytes as estimated" if workshop.full else "valid and estimated"
    )
    return Found(f"{len(configs)} presets, {least / 1e6:.1f}M to {most / 1e9:.2f}B parameters", how)


def _built(name: str, config: Config) -> None:
    with torch.device("meta"):
        model = Transformer(config, vocabulary(config))
        optimizers = Optimizers(model, config)
    told = estimate(config)
    count = sum(parameter.numel() for parameter in model.parameters())
    expect(count == told.parameters, f"{name}: {count} parameters", f"{told.parameters}, as estimated")
    taken = optimizers.live_bytes()
    expect(
        taken == told.optimizer_bytes,
        f"{name}: {taken} bytes of optimizer state",
        f"{told.optimizer_bytes}, as estimated",
    )
