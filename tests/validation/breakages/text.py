"""How files, inference and presets break."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.validation.breakages.breakage import Patch, caught_by


@caught_by("export", "scale times 0.")
def scales_quantised_again(patch: Patch) -> None:
    from nanocore.export import gguf_write

    right = gguf_write.weights_of

    def wrong(model: Any) -> Any:
        weights = right(model)
        again = {
            name: each._replace(scale=each.scale * each.codes.float().abs().mean())
            for name, each in weights.ternary.items()
        }
        return replace(weights, ternary=again)

    patch.setattr(gguf_write, "weights_of", wrong)


@caught_by("export", "")
def a_scale_left_out_of_the_file(patch: Patch) -> None:
    from nanocore.export import gguf_write

    right = gguf_write.stored
    patch.setattr(
        gguf_write, "stored", lambda *parts: [each for each in right(*parts) if not each.name.endswith(".scale")]
    )


@caught_by("generation", "differs")
def a_cache_that_forgets(patch: Patch) -> None:
    from nanocore.infer.backend import TorchBackend

    right = TorchBackend.forward

    def wrong(self: TorchBackend, tokens: Any, *, every: bool = False) -> Tensor:
        if self.length > 10:
            self.truncate(self.length - 1)
        return right(self, tokens, every=every)

    patch.setattr(TorchBackend, "forward", wrong)


@caught_by("generation", "differs", slow=True)
def keys_shifted_against_their_values(patch: Patch) -> None:
    from nanocore.model.cache import Cache

    right = Cache.append

    def wrong(self: Cache, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        kept = right(self, layer, keys, values)
        return (kept[0].roll(1, dims=2), kept[1]) if self.length else kept

    patch.setattr(Cache, "append", wrong)


@caught_by("decoder", "quantile")
def positions_that_turn_the_wrong_way(patch: Patch) -> None:
    from nanocore.model.rotary import RotaryTable, Rotation

    right = RotaryTable.halves

    def wrong(self: RotaryTable, end: int) -> Rotation:
        cos, sin = right(self, end)
        return Rotation(cos, -sin * 0.5)

    patch.setattr(RotaryTable, "halves", wrong)


@caught_by("sampling", "another text the second time", slow=True)
def a_sampling_seed_that_is_ignored(patch: Patch) -> None:
    from nanocore.infer.sampler import Sampler

    patch.setattr(Sampler, "uniform", lambda self: float(torch.rand(())))


@caught_by("sampling", "standard errors off")
def a_temperature_that_is_not_applied(patch: Patch) -> None:
    from nanocore.infer import sampler

    right = sampler.candidates
    patch.setattr(sampler, "candidates", lambda logits, sampling: right(logits, replace(sampling, temperature=1.0)))


@caught_by("sampling", "min-p 0.3 keeps", slow=True)
def a_min_p_that_keeps_all(patch: Patch) -> None:
    from nanocore.infer import sampler

    right = sampler.candidates
    patch.setattr(sampler, "candidates", lambda logits, sampling: right(logits, replace(sampling, min_p=0.0)))


@caught_by("sampling", "repetition penalty", slow=True)
def a_repetition_that_costs_nothing(patch: Patch) -> None:
    from nanocore.infer import sampler

    patch.setattr(sampler, "penalised", lambda logits, *_: logits)


@caught_by("presets", "model.group_sise")
def a_preset_with_an_unknown_key(patch: Patch) -> None:
    from nanocore.config import toml

    right = toml.read_text

    def wrong(path: Path) -> str:
        return right(path).replace("group_size", "group_sise") if path.name == "d20.toml" else right(path)

    patch.setattr(toml, "read_text", wrong)
