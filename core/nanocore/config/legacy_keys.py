"""Every configuration key of the earlier system (architehc/nanochat-rs-ternary) and what becomes of it here.

Sources: its TrainConfig, ModelConfig, AppConfig and per-technique structs, all its TOML files, and the options of its
trainer. A key is listed by its last part, by its whole dotted name where that part has several meanings, or as
`section.*` for a section that shares one fate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class To:
    """Has the same meaning under the name `key`; `values` translates words."""

    key: str
    values: Mapping[object, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Derived:
    """Is one of several keys from which ours are computed (`legacy.derive`), of a value of that kind.

    Without any of the keys `needs` it says nothing.
    """

    kind: Literal["number", "flag", "pair"] = "number"
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dropped:
    """Is accepted and left out, because `reason`."""

    reason: str


@dataclass(frozen=True)
class Switch:
    """Turns a technique on that this version lacks: refused when on, left out when it has a value of `off`."""

    technique: str
    off: tuple[object, ...] = (False, 0, "", "none")


@dataclass(frozen=True)
class Option:
    """Tunes a technique that this version lacks; without its switch it does nothing."""

    technique: str


Entry = To | Derived | Dropped | Switch | Option

DERIVED, FLAG = Derived(), Derived("flag")
_WAVE, _ENGRAM, _DISTIL = "wave-field attention (which is not causal)", "Engram", "distillation"
_RATES, _LION = ("lr", "learning_rate", "muon_lr", "peak_lr"), ("mhc_lr", "lion_lr")
_SHARDED, _VERIFIED = "tensor and pipeline parallelism", "compiler verification of data"

_LEAVES = Dropped("each token's own exit distribution decides, between one turn and loop.count")
_NEVER_READ = Dropped(
    "the earlier 8-bit optimizer never read it; see optimizer.stochastic_rounding and optimizer.state"
)
_AUTOMATIC = Dropped("the program decides this by itself")
_RUN_FOLDER = Dropped("a run's folder holds this; --runs chooses where")
_GENERATE = Dropped("is an option of `nanoconsole generate`")
_EXPORT = Dropped("is an option of export, not of training")
_TEXT = Dropped("texts are named in data.sources, of kind `files`")
_TORCHRUN = Dropped("several processes are started with torchrun")
_SERVING = Dropped("serving is no part of a training configuration")
_MIX = Dropped("names a corpus of the earlier system; give yours in data.sources with weights")

MODEL: dict[str, Entry] = {
    "model.name": To("about.description"),
    "model.architecture": Dropped("loop.count, moe.experts and delta.pattern say what the model is"),
    **dict.fromkeys(("dim", "hidden_dim"), To("model.d_model")),
    **dict.fromkeys(("n_layers", "num_layers"), To("model.n_layers")),
    **dict.fromkeys(("n_heads", "num_heads"), To("model.n_heads")),
    **dict.fromkeys(("n_kv_heads", "num_kv_heads"), To("model.n_kv_heads")),
    **dict.fromkeys(("ffn_mult", "max_seq_len", "seq_len", "seq_length", "vocab_size"), DERIVED),
    "group_size": To("model.group_size"),
    "mhc_n_streams": DERIVED,
    "use_mhc": FLAG,
    "weight_tied": To("model.tie_embeddings"),
    "rope_theta": To("model.rope_theta"),
    "rope_scale": Switch("rotary scaling", (1, 1.0)),
    **dict.fromkeys(("use_bitlinear", "use_ternary_qat"), To("model.linear", {True: "ternary", False: "float"})),
    "activation_bits": Switch("activation codes of another width", (8,)),
    "gated_attention": Switch("gated attention"),
    "layer_sequence": Switch("an order of layers given by name (write delta.pattern)", ("", "interleaved", "Interleaved")),
    **dict.fromkeys(("deltanet_ratio", "deltanet_v_heads", "deltanet_qk_heads"), DERIVED),
    "use_moe": FLAG,
    **dict.fromkeys(("num_experts", "n_experts"), DERIVED),
    **dict.fromkeys(("num_active_experts", "n_active_experts"), To("moe.active")),
    "use_shared_expert": To("moe.shared", {True: 1, False: 0}),
    "expert_dim": To("moe.d_expert"),
    "expert_capacity_factor": Dropped("no token is dropped here, so experts have no capacity"),
    **dict.fromkeys(("n_loops", "max_loop_depth", "loop_count"), DERIVED),
    **dict.fromkeys(("loop_config.loop_count", "looplm.n_loops"), DERIVED),
    "loop_config.local_before": To("loop.before"),
    "loop_config.local_after": To("loop.after"),
    "loop_config.adaptive_loop.exit_threshold": To("loop.exit_threshold"),
    "loop_config.*": _LEAVES,
    "looplm.entropy_weight": To("loop.entropy_weight"),
    "looplm.exit_temperature": Dropped("the exit gate has no temperature"),
    "looplm.track_exit_probs": Dropped("the exits are always recorded, as loop/mean_turns and loop/exit_entropy"),
    "loop_scale_penalty": Dropped("the earlier trainer never used it; loop.entropy_weight weighs the exits"),
    "use_wave_field": Switch(_WAVE),
    "wavefield_config.*": Option(_WAVE),
    **dict.fromkeys(
        (
            "wavefield_field_size", "wavefield_n_heads", "wavefield_head_coupling", "wavefield_ratio",
            "wavefield_convolve_mode", "wavefield_haar_levels", "wavefield_physics_lr", "wavefield_warmup_delay",
            "wavefield_haar_direct", "bypass_wavefield",
        ),
        Option(_WAVE),
    ),
    "use_engram": Switch(_ENGRAM),
    **dict.fromkeys(
        (
            "engram_d_mem", "engram_n_gram_orders", "engram_n_heads", "engram_table_size", "engram_layers",
            "engram_conv_kernel", "engram_lr_mult",
        ),
        Option(_ENGRAM),
    ),
}  # fmt: skip

TRAINING: dict[str, Entry] = {
    **dict.fromkeys((*_RATES, "min_lr_ratio", "mhc_lr", "lion_lr"), DERIVED),
    **dict.fromkeys(("muon_lr_mult", "lion_lr_mult", "min_lr"), Derived(needs=_RATES)),
    **dict.fromkeys(("lion_beta1", "lion_beta2"), Derived(needs=_LION)),
    "lion_betas": Derived("pair", _LION),
    **dict.fromkeys(("decay_start_frac", "stable_ratio"), DERIVED),
    **dict.fromkeys(("decay_steps", "stable_steps"), Derived(needs=("total_steps",))),
    **dict.fromkeys(("batch_size", "grad_accum_steps", "accumulation_steps"), DERIVED),
    "weight_decay": To("optimizer.matrix_weight_decay"),
    "lion_weight_decay": To("optimizer.other_weight_decay"),
    **dict.fromkeys(("grad_clip", "gradient_clip_norm"), To("optimizer.grad_clip")),
    "muon_momentum": To("optimizer.momentum"),
    "muon_nesterov": To("optimizer.nesterov"),
    "ns_steps": To("optimizer.newton_schulz_steps"),
    **dict.fromkeys(
        ("optimizer_type", "training.optimizer.type"),
        To("optimizer.matrices", {"Hybrid": "muon", "hybrid": "muon", "Muon": "muon", "AdamW": "adamw", "Lion": "lion"}),
    ),
    "schedule_type": To("schedule.kind", {"WSD": "wsd", "Cosine": "cosine", "Linear": "linear"}),
    "warmup_steps": To("schedule.warmup_steps"),
    "total_steps": To("training.steps"),
    "epochs": Dropped("the length of a run is given by training.steps, tokens or duration"),
    "label_smooth_eps": To("objective.label_smoothing"),
    "entropy_weight": To("objective.entropy_bonus"),
    **dict.fromkeys(("use_8bit_optim", "use_galore", "use_mtp", "use_collider", "use_fp4"), FLAG),
    "block_size": To("optimizer.state_block"),
    **dict.fromkeys(("stochastic_rounding", "dynamic_range"), _NEVER_READ),
    "galore_rank": DERIVED,
    "galore_update_freq": To("galore.refresh_every"),
    **dict.fromkeys(("mtp_n_tokens", "mtp_n_future_tokens", "mtp_weight"), DERIVED),
    "collider_sparsity": DERIVED,
    "collider_threshold": Dropped("the share of kept tokens is exact here, however their losses are spread"),
    "fp4_stochastic_rounding": To("fp4.stochastic_rounding"),
    "newton_schulz_iters": To("fire.iterations"),
    "target_sfe": Dropped("fire.tolerance is sqrt(target_sfe / d) here, d being a matrix's shorter side"),
    "variance_factor": Dropped("FIRE's scale follows from a matrix's shape"),
    "min_weight_norm": Dropped("no matrix is skipped; one without full rank is reported as not converged"),
    **dict.fromkeys(("distill_teacher", "distill_kl_weight"), Switch(_DISTIL)),
    **dict.fromkeys(
        (
            "teacher_mode", "kl_weight", "load_balance_weight", "router_aux_weight", "freeze_student_fp8",
            "micro_batches",
        ),
        Option(_DISTIL),
    ),
}  # fmt: skip

ENVIRONMENT: dict[str, Entry] = {
    "use_async_loader": FLAG,
    **dict.fromkeys(("num_workers", "async_n_workers"), DERIVED),
    **dict.fromkeys(("prefetch_batches", "prefetch_factor", "async_prefetch_size"), To("data.prefetch")),
    "pin_memory": _AUTOMATIC,
    "dataset": Switch("data from token files without a tokenizer", ("synthetic",)),
    "data_path": Dropped("token files carry no tokenizer; give text in data.sources"),
    "n_samples": DERIVED,
    "data.mix.*": _MIX,
    "compiler_verification.enabled": Switch(_VERIFIED),
    **dict.fromkeys(("compiler_verification.*", "verify_every_n_examples", "min_compile_rate"), Option(_VERIFIED)),
    "device": To("hardware.device"),
    "hardware.target": To("hardware.device", {"single_gpu": "auto", "multi_gpu": "auto"}),
    **dict.fromkeys(("threads", "cpu_threads", "openmp_threads"), To("hardware.threads")),
    **dict.fromkeys(("mixed_precision", "fp16"), To("hardware.dtype", {True: "auto", False: "float32"})),
    "gradient_checkpointing": To("training.activation_checkpointing", {True: "full", False: "none"}),
    **dict.fromkeys(("tensor_parallel", "pipeline_parallel"), Switch(_SHARDED)),
    "tensor_parallel_size": Switch(_SHARDED, (0, 1)),
    "distributed.*": _TORCHRUN,
    **dict.fromkeys(
        (
            "flash_attention", "interop_threads", "gpu_memory_fraction", "preferred_kernel", "fallback_kernel",
            "numa_aware", "numa_nodes", "cuda_math_mode", "use_openmp", "hardware.numa.*", "hardware.openmp.*",
            "hardware.cuda.*", "async_save",
        ),
        _AUTOMATIC,
    ),
    **dict.fromkeys(("checkpointing.interval", "checkpoint_interval"), To("checkpoint.every")),
    **dict.fromkeys(("keep_last_n", "keep_last_checkpoints"), To("checkpoint.keep_last")),
    "save_optimizer_state": Switch("checkpoints without optimizer state", (True,)),
    "eval_every": To("evaluation.every"),
    "n_eval_examples": Derived(needs=("seq_len", "seq_length", "max_seq_len")),
    "evaluation.metrics": Dropped("every evaluation writes the same metrics"),
    **dict.fromkeys(("log_interval", "log_every"), To("logging.console_every")),
    "use_tensorboard": To("logging.tensorboard"),
    **dict.fromkeys(("logging.level", "log_level"), Dropped("every level is written, and filtered when shown")),
    **dict.fromkeys(("log_file", "tensorboard_dir", "checkpoint_dir", "output"), _RUN_FOLDER),
    "resume": Dropped("a run is resumed by name: `nanoconsole resume RUN`"),
    "config": Dropped("names a preset: `nanoconsole train PRESET`"),
    "text": _TEXT,
    **dict.fromkeys(("checkpoint", "gguf", "mhc"), _EXPORT),
    **dict.fromkeys(("prompt", "prompt_file", "max_tokens", "temperature", "top_k"), _GENERATE),
    "tokenizer": Dropped("every run has its tokenizer in its checkpoints"),
    "serving.*": _SERVING,
}  # fmt: skip

KEYS: dict[str, Entry] = MODEL | TRAINING | ENVIRONMENT
SECTIONS = ("", "model", "training", "training.optimizer", "optimizer", "data", "hardware", "checkpointing")
SECTIONS += ("evaluation", "logging", "distributed")


def entry(key: str) -> Entry | None:
    """What becomes of an earlier dotted key; None when the earlier system had no such key."""
    *parts, name = key.split(".")
    if key in KEYS:
        return KEYS[key]
    for end in range(len(parts), 0, -1):
        for begin in range(end):
            shared = KEYS.get(f"{'.'.join(parts[begin:end])}.*")
            if shared and not (parts == ["distributed"] and name in KEYS):
                return shared
    return KEYS.get(name) if ".".join(parts) in SECTIONS else None
