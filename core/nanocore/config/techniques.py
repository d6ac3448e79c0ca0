"""Sections of the techniques, one class each; every one is off by default, and off it changes nothing."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from nanocore.config.section import Count, Fraction, Positive, Section


class Mhc(Section):
    """Residual streams (hyper-connections): n copies of the residual, mixed by learned maps."""

    streams: Literal[1, 2, 4] = Field(default=1, description="Number of residual streams; 1 is the plain residual.")
    dynamic: bool = Field(
        default=False, description="Let each token choose its own mixing, besides the learned constant."
    )
    kind: Literal["lite", "sinkhorn", "unconstrained"] = Field(
        default="lite",
        description="Residual maps: convex combinations of permutations (mHC-lite), Sinkhorn-normalised (mHC), or free (HC).",
    )
    init: Literal["identity", "balanced", "depth"] = Field(
        default="identity",
        description="Residual maps begin at the identity, nearly evenly mixed, or mixed more with depth.",
    )
    every: Positive = Field(default=100, description="Steps between measurements of the streams' health.")

    @field_validator("streams", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        """`true` and `1.0` equal 1 and would pass as the literal."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be 1, 2 or 4; write one of these numbers")
        return value


class Objective(Section):
    """Terms added to the plain next-token loss; each is a metric of its own."""

    label_smoothing: float = Field(
        default=0.0, ge=0.0, le=0.5, description="Share of each target spread evenly over the vocabulary; 0 is off."
    )
    z_loss: float = Field(
        default=0.0, ge=0.0, le=1.0, description="Weight of the squared log of the softmax denominator; 0 is off."
    )
    entropy_bonus: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Weight of the prediction's entropy, subtracted from the loss; 0 is off.",
    )


class Mtp(Section):
    """Multi-token prediction: heads that predict tokens after the next one, through the shared unembedding."""

    horizon: int = Field(
        default=0, ge=0, le=8, description="Further tokens predicted at each position, besides the next; 0 is off."
    )
    kind: Literal["independent", "sequential"] = Field(
        default="independent",
        description="One matrix for each further token, or DeepSeek-V3's chain of modules, one block each.",
    )
    weight: float = Field(
        default=0.3, ge=0.0, le=10.0, description="Weight of the heads' mean loss at the start of the run."
    )
    final_weight: float = Field(
        default=0.0, ge=0.0, le=10.0, description="That weight at the end; in between it moves in a straight line."
    )


class Collider(Section):
    """Token filtering: the backward pass runs on the most useful tokens only."""

    mode: Literal["off", "head", "full"] = Field(
        default="off",
        description="Drop tokens from the loss and unembedding (head), or from the backward pass of every layer (full).",
    )
    keep: float = Field(default=0.6, gt=0.0, le=1.0, description="Share of the tokens kept, exact to one token.")
    importance: Literal["loss", "excess"] = Field(
        default="loss",
        description="Keep tokens of the largest loss, or of the largest excess over a reference model's loss (Rho-1).",
    )
    reference: str = Field(
        default="", max_length=4096, description='Checkpoint folder of the reference model, for importance = "excess".'
    )
    start_step: Count = Field(default=0, description="Steps trained on all tokens before filtering begins.")
    cosine_every: Count = Field(
        default=0,
        description="Steps between measurements of the cosine between filtered and full gradient; 0 is never.",
    )


class Loop(Section):
    """LoopLM: the stack of blocks is run several times, and each token chooses how often."""

    count: int = Field(default=1, ge=1, le=16, description="Times the looped blocks run; 1 is the plain decoder.")
    before: Count = Field(default=0, description="Blocks at the start that are not looped.")
    after: Count = Field(default=0, description="Blocks at the end that are not looped.")
    entropy_weight: float = Field(
        default=0.05,
        ge=0.0,
        le=10.0,
        description="Weight of the exit distribution's entropy, subtracted from the loss.",
    )
    stage: Literal["joint", "gate"] = Field(
        default="joint",
        description="Train everything with the expected loss, or the exit gate alone (a fork's second stage).",
    )
    exit_threshold: Fraction = Field(
        default=1.0, description="When generating, a token stops looping at this cumulative exit probability; 1 never."
    )


class Moe(Section):
    """Mixture of experts in place of the feed-forward part."""

    experts: int = Field(
        default=0, ge=0, le=1024, description="Routed experts in a layer; 0 is the dense feed-forward."
    )
    active: Positive = Field(default=2, le=64, description="Experts that each token is routed to.")
    shared: int = Field(default=0, ge=0, le=16, description="Experts that every token passes, beside the routed ones.")
    d_expert: int = Field(default=0, ge=0, le=131072, description="Hidden width of one expert; 0 means model.d_ff.")
    every: Positive = Field(
        default=1, le=256, description="Every how many-th block has experts, counted from the last."
    )
    balance: Literal["bias", "loss", "none"] = Field(
        default="bias",
        description="Keep experts evenly loaded by a bias on the choice (loss-free), an auxiliary loss, or not at all.",
    )
    bias_rate: float = Field(default=0.001, gt=0.0, le=1.0, description="Step of the balancing bias after each update.")
    loss_weight: float = Field(default=0.01, gt=0.0, le=10.0, description="Weight of the auxiliary balancing loss.")


class Delta(Section):
    """Hybrid attention: DeltaNet layers (linear recurrence) among the attention layers."""

    pattern: str = Field(
        default="",
        max_length=256,
        pattern=r"^[AD]*$",
        description="Kinds of the layers, repeated over all blocks: D is DeltaNet, A attention (DDDA); empty is attention.",
    )
    gated: bool = Field(default=True, description="Gated DeltaNet: a learned decay of the state, and an output gate.")
    n_heads: int = Field(default=0, ge=0, le=256, description="Heads of a DeltaNet layer; 0 means model.n_heads.")
    head_dim: int = Field(default=0, ge=0, le=1024, description="Width of one such head; 0 means the attention's.")
    conv: int = Field(
        default=4, ge=0, le=16, description="Width of the causal convolution on queries, keys and values; 0 is none."
    )
    chunk: int = Field(
        default=64, ge=4, le=512, description="Tokens computed in parallel between two states in training."
    )


class Fp4(Section):
    """FP4 study mode: an emulation that shows what 4-bit matmul inputs do to training. It is never faster."""

    format: Literal["off", "nvfp4", "mxfp4", "token"] = Field(
        default="off",
        description="E2M1 values with a scale for 16 (nvfp4) or 32 (mxfp4) values, or for each token (token); off.",
    )
    forward: bool = Field(default=False, description="Quantise the inputs of forward matmuls (float matrices only).")
    input_gradient: bool = Field(default=True, description="Quantise the inputs of the input-gradient matmuls.")
    weight_gradient: bool = Field(default=True, description="Quantise the inputs of the weight-gradient matmuls.")
    stochastic_rounding: bool = Field(
        default=True, description="Round gradients stochastically, which keeps them unbiased."
    )
    hadamard: bool = Field(
        default=True, description="Random Hadamard transform of the weight-gradient inputs, against outliers."
    )
    execution: Literal["emulate", "hardware"] = Field(
        default="emulate", description="Only emulation exists; hardware is refused with the reason."
    )


class Galore(Section):
    """GaLore-Muon: gradients projected to a subspace, in which momentum and orthogonalisation live."""

    rank_fraction: Fraction = Field(
        default=0.0, description="Rank of the subspace as a share of a matrix's smaller side; 0 is off."
    )
    refresh_every: Positive = Field(default=200, description="Steps between two choices of the subspace.")
    adaptive: bool = Field(
        default=False,
        description="Wait twice as long while the leading direction of the last five subspaces stayed (Q-GaLore).",
    )
    projector: Literal["float32", "int8", "int4"] = Field(
        default="float32", description="How the projection matrices are kept."
    )


class Fire(Section):
    """FIRE: chosen matrices become the nearest orthogonal ones, against lost plasticity when the data shifts."""

    at_step: Count = Field(default=0, description="Step after which it happens; 0 only on request (control file).")
    parameters: list[str] = Field(
        default_factory=lambda: ["*.attention.query.weight", "*.attention.key.weight"],
        min_length=1,
        max_length=64,
        description="Names of the matrices, with * for any text.",
    )
    iterations: Positive = Field(default=30, le=200, description="Most Newton-Schulz iterations.")
    tolerance: float = Field(
        default=1e-3, gt=0.0, le=1.0, description="Relative distance to orthogonal at which the iterations end."
    )
