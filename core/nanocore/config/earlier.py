"""What stands here for the configurations and training scripts of the earlier system (nanochat-rs-ternary)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counterpart:
    """A preset in place of earlier `names`, and the `parameters` that these had, heads of multi-token prediction apart.

    With `sets` it is a model of that size, trained on as many tokens; without, it has the same purpose and its own size.
    """

    names: tuple[str, ...]
    preset: str
    parameters: str = ""
    sets: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """What to write behind `nanoconsole train`."""
        return " ".join([self.preset, *(f"--set {change}" for change in self.sets)])


# Its d20 with techniques: 768 wide, 24 layers, 16 x 2048 x 2 = 65,536 tokens a step in four micro-batches.
_LARGE_D20 = (
    "model.d_model=768", "model.n_layers=24", "model.n_heads=12", "model.n_kv_heads=12", "model.d_ff=2688",
    "model.context_length=2048", "model.tie_embeddings=false", "training.accumulation=4", "training.steps=50000",
    "schedule.warmup_steps=2000",
)  # fmt: skip
_WITHOUT_MEMORY_SAVERS = ("optimizer.state=float32", "galore.rank_fraction=0")  # which its production file had off
_UNFIT = "could not be built: 12 heads do not divide 1024"
_NAMED = "a name in its notes alone"

EARLIER = (
    Counterpart(("e3/baseline",), "e3-baseline", _UNFIT),
    Counterpart(("e3/mtp_only",), "e3-mtp", _UNFIT),
    Counterpart(("e3/muon_8bit",), "e3-muon-8bit", _UNFIT),
    Counterpart(("e3/galore2",), "e3-galore", _UNFIT),
    Counterpart(("e3/full",), "e3-full", _UNFIT),
    Counterpart(("e3_muon",), "e3-baseline", _NAMED),  # Muon is the default
    Counterpart(("e3_galore2_muon_8bit",), "e3-galore-8bit", _NAMED),
    Counterpart(("d20-e3-full", "train_production_e3", "train_production_8h"), "d20-e3-full", "282M", _LARGE_D20),
    Counterpart(("d20-e3-fp4",), "d20-e3-fp4", "282M", _LARGE_D20),
    Counterpart(("production_e3_full",), "d20-e3-full", "282M", (*_LARGE_D20, *_WITHOUT_MEMORY_SAVERS)),
    Counterpart(("nano_125m", "train_nano_125m"), "nano-125m", "127M its preset, 142M its file"),
    Counterpart(("small_560m", "train_small_560m"), "small-560m", "338M its file, 282M what its script trained"),
    Counterpart(("medium_3b", "train_medium_3b"), "medium-3b", "1.63B: no experts were ever trained"),
    Counterpart(("nano_1b",), "nano-1b", "1.11B"),
    Counterpart(("large_7b",), "large-7b", "6.20B"),
    Counterpart(("test_8bit",), "test-8bit", "28.4M"),
)


def counterpart(name: str) -> Counterpart | None:
    """What stands for an earlier name, whether words are parted by a slash, a dash or a line; None for other names."""
    return next((each for each in EARLIER if _plain(name) in map(_plain, each.names)), None)


def _plain(name: str) -> str:
    return name.replace("-", "_").replace("/", "_")
