"""The sections of a configuration: one class each, every key with its meaning, unit and range.

They are the single source for TOML files, `--set`, the editor's form, its help texts and errors, and
`docs/configuration.md`. Text behind `description=` is what a user reads. `data` has a file of its own.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from nanocore.config.data_section import Data, Source
from nanocore.config.section import Count, Fraction, Positive, Rate, Section

__all__ = (
    "About",
    "Checkpointing",
    "Data",
    "Evaluation",
    "Hardware",
    "Logging",
    "Model",
    "Optimizer",
    "Schedule",
    "Source",
    "Training",
)


class About(Section):
    """What this preset is for; shown in the list of presets, never read by training."""

    description: str = Field(
        default="", max_length=400, description="One or two sentences shown beside the preset's name."
    )
    expects: str = Field(
        default="",
        max_length=400,
        description="Hardware, memory and time it needs, and where that estimate comes from.",
    )


class Model(Section):
    """The decoder: its widths and parts."""

    d_model: int = Field(default=256, ge=8, le=16384, description="Width of the residual stream.")
    n_layers: int = Field(default=6, ge=1, le=256, description="Number of blocks, each attention then feed-forward.")
    n_heads: int = Field(default=4, ge=1, le=256, description="Number of query heads.")
    n_kv_heads: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Number of key and value heads; fewer than query heads is grouped-query attention.",
    )
    head_dim: int = Field(default=0, ge=0, le=1024, description="Width of one head; 0 means d_model / n_heads.")
    d_ff: int = Field(default=768, ge=8, le=131072, description="Hidden width of the feed-forward part.")
    context_length: int = Field(
        default=256,
        ge=8,
        le=131072,
        description="Tokens in one training sequence, and the longest text the model reads.",
    )
    activation: Literal["swiglu", "relu2"] = Field(
        default="swiglu", description="Feed-forward form: gated SiLU, or squared ReLU."
    )
    linear: Literal["ternary", "float"] = Field(
        default="ternary",
        description="Ternary weights with 8-bit activations (BitNet b1.58), or the float twin for reference.",
    )
    group_size: int = Field(
        default=0,
        ge=0,
        le=4096,
        description="Input columns sharing one ternary scale; 0 means one scale for the whole matrix.",
    )
    qk_norm: bool = Field(default=True, description="RMS-normalise queries and keys of each head.")
    sub_norm: bool = Field(
        default=False,
        description="RMS-normalise the input of the attention output and feed-forward down projections (SubLN).",
    )
    tie_embeddings: bool = Field(default=True, description="Use the embedding matrix as output head.")
    rope_theta: float = Field(default=10_000.0, ge=10.0, le=1e8, description="Base of the rotary position frequencies.")
    norm_eps: float = Field(default=1e-5, ge=1e-8, le=1e-2, description="Epsilon of every RMS norm.")


class Optimizer(Section):
    """Who trains which parameters, and how fast."""

    matrices: Literal["muon", "adamw", "lion"] = Field(
        default="muon", description="Optimizer of the weight matrices inside the blocks."
    )
    others: Literal["adamw", "lion"] = Field(
        default="adamw", description="Optimizer of embeddings, head, norms and stream maps."
    )
    matrix_lr: Rate = Field(default=0.02, description="Peak learning rate of the matrices.")
    embedding_lr: Rate = Field(default=0.003, description="Peak learning rate of embedding and head.")
    scalar_lr: Rate = Field(default=0.003, description="Peak learning rate of norm gains and stream maps.")
    matrix_weight_decay: Fraction = Field(default=0.0, description="Decoupled weight decay of the matrices.")
    other_weight_decay: Fraction = Field(default=0.0, description="Decoupled weight decay of embedding and head.")
    momentum: float = Field(default=0.95, ge=0.0, lt=1.0, description="Muon's momentum.")
    nesterov: bool = Field(default=True, description="Nesterov momentum in Muon.")
    newton_schulz_steps: int = Field(default=5, ge=1, le=30, description="Iterations of Muon's orthogonalisation.")
    shape_scale: Literal["original", "match_rms_adamw"] = Field(
        default="original",
        description="Muon's factor by shape: sqrt(max(1, rows/columns)), or 0.2 sqrt(max(rows, columns)).",
    )
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="First-moment decay of AdamW and Lion.")
    beta2: float = Field(
        default=0.95, ge=0.0, lt=1.0, description="Second-moment decay of AdamW; momentum decay of Lion."
    )
    eps: float = Field(default=1e-8, ge=1e-15, le=1e-2, description="AdamW's epsilon.")
    orthogonalisation: Literal["newton-schulz", "polar-express"] = Field(
        default="newton-schulz", description="Muon's iteration towards the orthogonal factor."
    )
    cautious_weight_decay: bool = Field(
        default=False, description="Muon decays a weight only where its update has the same sign as the weight."
    )
    state: Literal["float32", "int8", "int8-dynamic"] = Field(
        default="float32",
        description="How Muon's momentum is kept: floats, or 8-bit codes with a scale for each block, linear or dynamic.",
    )
    state_block: Literal[64, 128, 256, 512, 1024, 2048] = Field(
        default=256, description="Values that share a scale in an 8-bit state, or in coded projectors of GaLore."
    )
    stochastic_rounding: bool = Field(default=False, description="Round 8-bit states stochastically.")
    grad_clip: float = Field(
        default=1.0, ge=0.0, le=1e6, description="Largest global gradient norm; 0 switches clipping off."
    )


class Schedule(Section):
    """The learning rate over the run, as a factor of each group's peak."""

    kind: Literal["wsd", "cosine", "linear", "constant"] = Field(
        default="wsd", description="Warm-up-stable-decay, cosine, linear, or constant after warm-up."
    )
    warmup_steps: int = Field(
        default=20,
        ge=0,
        le=10_000_000,
        description="Steps from 0 to the peak; the first step already uses the first warm-up rate.",
    )
    decay_fraction: Fraction = Field(default=0.3, description="Share of the run spent decaying (wsd).")
    decay_shape: Literal["linear", "1-sqrt", "cosine"] = Field(default="linear", description="Form of the decay (wsd).")
    final_fraction: Fraction = Field(default=0.0, description="Learning rate at the end, as a share of the peak.")
    decay_weight_decay: bool = Field(
        default=False, description="Weight decay becomes 0 when the decay begins (BitNet's second stage)."
    )


class Training(Section):
    """Horizon and batches. Exactly one of steps, tokens and duration is set."""

    steps: int = Field(
        default=1000,
        ge=0,
        le=1_000_000_000,
        description="Optimizer steps; when tokens or duration is given instead, this becomes 0.",
    )
    tokens: int = Field(
        default=0,
        ge=0,
        le=10**15,
        description="Training tokens, rounded up to whole steps; 0 when steps or duration rules.",
    )
    duration: str = Field(
        default="",
        max_length=32,
        description="Length of the run, as 30m, 8h or 1h30m, set from the throughput measured in its first minute.",
    )
    batch_size: Positive = Field(
        default=16, le=1_000_000, description="Sequences in one optimizer step, over all processes and micro-batches."
    )
    accumulation: Positive = Field(
        default=1, le=65536, description="Micro-batches in one optimizer step; divides batch_size."
    )
    seed: int = Field(default=1337, ge=0, le=2**31 - 1, description="Seed of weights and data order.")
    activation_checkpointing: Literal["none", "selective", "full"] = Field(
        default="none",
        description="Recompute in the backward pass: nothing, the feed-forward parts, or every block; same result, less memory.",
    )
    on_nonfinite: Literal["stop", "skip", "rollback"] = Field(
        default="stop",
        description="A non-finite loss or gradient stops the run, skips that update, or goes back to the last checkpoint.",
    )
    on_spike: Literal["none", "skip", "rollback"] = Field(
        default="none",
        description="A loss or gradient norm 6 standard deviations above the last 128 steps is told; its update is kept, skipped, or undone from the last checkpoint.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_horizon(cls, table: Any) -> Any:
        """The default of `steps` holds only where no other horizon is given."""
        if isinstance(table, dict) and "steps" not in table and (table.get("tokens") or table.get("duration")):
            return {**table, "steps": 0}
        return table


class Evaluation(Section):
    """Held-out measurements and text samples."""

    every: Count = Field(default=200, description="Steps between evaluations; 0 only at the end.")
    tokens: Positive = Field(
        default=65_536, description="Held-out tokens in the fixed slice, rounded down to whole sequences."
    )
    sample_every: Count = Field(default=0, description="Steps between text samples; 0 only at the end.")
    sample_prompt: str = Field(default="def ", max_length=10_000, description="Beginning of each text sample.")
    sample_tokens: int = Field(default=120, ge=1, le=100_000, description="Tokens in each text sample.")


class Checkpointing(Section):
    """When the run is saved."""

    every: Count = Field(default=500, description="Steps between checkpoints; 0 only at the end or on request.")
    keep_last: Positive = Field(
        default=2, description="Newest checkpoints to keep; older ones are removed after a newer one is safe."
    )
    keep_every: Count = Field(default=0, description="Keep those of every so many steps as well; 0 none.")
    keep_best: Count = Field(
        default=1, description="Keep as many of the lowest held-out loss as well, of those evaluated at their step."
    )


class Hardware(Section):
    """Where and how it runs; may change when a run is resumed."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Precision of the backward matmuls and the float parts; auto takes bfloat16 where the hardware multiplies it faster.",
    )
    compile: bool = Field(default=False, description="Compile the model with torch.compile.")
    threads: int = Field(
        default=0, ge=0, le=1024, description="CPU threads; 0 means the processors this process may use, at most 8."
    )
    nice: int = Field(default=5, ge=0, le=19, description="How far the trainer steps back for other programs.")


class Logging(Section):
    """What is written while it runs."""

    every: Positive = Field(default=1, description="Steps between metric records.")
    console_every: Positive = Field(default=10, description="Steps between lines in the log.")
    layers_every: Positive = Field(
        default=100,
        description="Steps between measurements of every matrix (codes, gradient, update), experts' loads and exits.",
    )
    tensorboard: bool = Field(default=True, description="Write TensorBoard event files beside the metrics.")
