"""Every key of the earlier system is mapped, left out with a note, or refused with the reason."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from nanocore.config.fields import fields
from nanocore.config.legacy import import_file, import_table
from nanocore.config.legacy_keys import KEYS, Derived, Dropped, Option, Switch, To, entry
from nanocore.config.legacy_techniques import placed
from nanocore.config.validate import build
from nanocore.config.write import difference_text
from nanocore.errors import ConfigError

TRAIN_CONFIG = """
    dim n_layers n_heads n_kv_heads ffn_mult vocab_size max_seq_len group_size mhc_n_streams weight_tied rope_theta
    loop_config.local_before loop_config.local_after loop_config.loop_count loop_config.adaptive_loop.min_loops
    loop_config.adaptive_loop.max_loops loop_config.adaptive_loop.perplexity_threshold
    loop_config.adaptive_loop.exit_threshold lr mhc_lr weight_decay batch_size grad_accum_steps warmup_steps total_steps
    decay_start_frac grad_clip ns_steps muon_momentum lion_betas use_8bit_optim use_galore galore_rank
    galore_update_freq use_mtp mtp_n_tokens mtp_weight use_collider collider_threshold collider_sparsity
    use_async_loader async_n_workers async_prefetch_size label_smooth_eps entropy_weight use_fp4
    fp4_stochastic_rounding distill_teacher distill_kl_weight loop_scale_penalty use_wave_field wavefield_field_size
    wavefield_n_heads wavefield_head_coupling wavefield_ratio wavefield_convolve_mode wavefield_haar_levels
    wavefield_physics_lr wavefield_warmup_delay wavefield_haar_direct use_engram engram_d_mem engram_n_gram_orders
    engram_n_heads engram_table_size engram_layers engram_conv_kernel engram_lr_mult
"""
MODEL_CONFIG = """
    model.deltanet_v_heads model.deltanet_qk_heads model.rope_scale model.n_experts model.n_active_experts
    model.use_shared_expert model.expert_dim model.deltanet_ratio model.layer_sequence model.gated_attention
    model.wavefield_config.field_size model.wavefield_ratio
"""
STRUCTS = """
    target_sfe newton_schulz_iters variance_factor min_weight_norm block_size stochastic_rounding dynamic_range
    teacher_mode temperature kl_weight load_balance_weight router_aux_weight freeze_student_fp8 micro_batches
    mtp_n_future_tokens
"""
TOML_FILES = """
    model.name model.architecture model.dim model.hidden_dim model.num_layers model.num_heads model.num_kv_heads
    model.n_kv_heads model.ffn_mult model.vocab_size model.max_seq_len model.group_size model.mhc_n_streams
    model.n_loops model.use_bitlinear model.activation_bits model.use_moe model.num_experts model.num_active_experts
    model.expert_capacity_factor training.batch_size training.seq_len training.seq_length training.total_steps
    training.warmup_steps training.stable_steps training.decay_steps training.peak_lr training.min_lr training.muon_lr
    training.lion_lr training.learning_rate training.entropy_weight training.max_loop_depth training.grad_clip
    training.gradient_clip_norm training.accumulation_steps training.optimizer.type training.optimizer.muon_momentum
    training.optimizer.lion_beta1 training.optimizer.lion_beta2 training.optimizer.weight_decay training.optimizer_type
    training.schedule_type training.stable_ratio training.min_lr_ratio training.lion_lr_mult
    training.lion_weight_decay training.muon_lr_mult training.muon_nesterov training.use_mhc training.use_ternary_qat
    training.num_workers training.prefetch_batches training.log_interval training.checkpoint_interval
    training.keep_last_checkpoints data.num_workers data.prefetch_factor data.pin_memory data.verify_every_n_examples
    data.min_compile_rate data.mix.high_quality_rust data.mix.verified_examples data.mix.synthetic_data
    data.mix.documentation hardware.numa_aware hardware.numa_nodes hardware.cpu_threads hardware.interop_threads
    hardware.gpu_memory_fraction hardware.mixed_precision hardware.gradient_checkpointing hardware.preferred_kernel
    hardware.fallback_kernel hardware.numa.node_0 hardware.numa.socket_0_nodes hardware.numa.memory_policy
    hardware.tensor_parallel_size hardware.cuda_math_mode hardware.cuda.enable_tf32 hardware.cuda.enable_fp16
    hardware.cuda.benchmark hardware.cuda.deterministic hardware.use_openmp hardware.openmp_threads
    hardware.openmp.dynamic hardware.openmp.nested hardware.openmp.thread_limit hardware.target hardware.fp16
    hardware.flash_attention checkpointing.interval checkpointing.keep_last_n checkpointing.save_optimizer_state
    checkpointing.async_save evaluation.eval_every evaluation.metrics evaluation.n_eval_examples logging.level
    logging.log_file logging.use_tensorboard logging.tensorboard_dir logging.log_every distributed.world_size
    distributed.tensor_parallel distributed.pipeline_parallel distributed.backend distributed.init_method
    distributed.bucket_size_mb distributed.allreduce_bucket_size looplm.n_loops looplm.entropy_weight
    looplm.exit_temperature looplm.track_exit_probs compiler_verification.enabled
    compiler_verification.min_compile_rate compiler_verification.use_negative_examples
    compiler_verification.difficulty_easy compiler_verification.difficulty_medium
    compiler_verification.difficulty_hard compiler_verification.compile_success_reward
    compiler_verification.complexity_bonus compiler_verification.unsafe_penalty serving.host serving.port
    serving.max_concurrent_requests serving.timeout_secs serving.enable_metrics log_level data_path checkpoint_dir
"""
OPTIONS = """
    config dataset data_path epochs batch_size seq_len checkpoint_dir resume log_interval checkpoint_interval
    keep_last_checkpoints total_steps threads n_samples device text vocab_size output checkpoint gguf mhc tokenizer
    prompt prompt_file max_tokens temperature top_k bypass_wavefield
"""
EARLIER = f"{TRAIN_CONFIG} {MODEL_CONFIG} {STRUCTS} {TOML_FILES} {OPTIONS}".split()


def _refusals(table: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        import_table(table)
    return caught.value.problems


def _nested(key: str, value: object) -> dict[str, Any]:
    section, _, name = key.rpartition(".")
    return _nested(section, {name: value}) if section else {name: value}


def _fate_is_kept(key: str) -> bool:
    """Whether a key is mapped to a key of ours, or left out with a note, or refused when it switches something on."""
    match entry(key):
        case To(target):
            return target in {field.key for field in fields()}
        case Derived("flag"):
            both = [import_table(_nested(key, on)) for on in (False, True)]
            return any(found.values or found.notes for found in both) and _refusals(_nested(key, 7)) != []
        case Derived(kind):
            return _is_spoken_of(key, [0.9, 0.98] if kind == "pair" else 2)
        case Dropped():
            return any(note.startswith(f"{key}: left out: ") for note in import_table(_nested(key, 1)).notes)
        case Option(technique):
            return [technique in note for note in import_table(_nested(key, 1)).notes] == [True]
        case Switch(technique, off):
            switched_off = import_table(_nested(key, off[0]))
            refused = f"{key}: 7 asks for {technique}, which this version has not; set "
            return all(technique in note and key in note for note in switched_off.notes) and [
                line.startswith(refused) for line in _refusals(_nested(key, 7))
            ] == [True]
        case None:
            return False


def _is_spoken_of(key: str, value: object) -> bool:
    """Whether a key that is computed with others yields, alone, a value, a note or a refusal."""
    try:
        imported = import_table(_nested(key, value))
    except ConfigError:
        return True
    return bool(imported.values) or any(note.startswith(f"{key.rpartition('.')[2]}: ") for note in imported.notes)


def test_every_earlier_key_has_its_fate() -> None:
    assert [key for key in EARLIER if not _fate_is_kept(key)] == []


def test_nothing_is_listed_that_the_earlier_system_had_not() -> None:
    listed = {key for key in KEYS if not key.endswith(".*")}
    assert listed - {key.rpartition(".")[2] for key in EARLIER} - set(EARLIER) == set()


def test_keys_it_never_had_are_refused_with_the_nearest() -> None:
    assert _refusals({"model": {"hiden_dim": 3}}) == [
        "model.hiden_dim: is no key of the earlier system; did you mean hidden_dim?"
    ]
    assert _refusals({"kitchen": {"dim": 3}})[0].startswith("kitchen.dim: is no key of the earlier system")


def test_its_d20_becomes_ours() -> None:
    imported = import_table(
        {
            "dim": 256, "n_layers": 6, "n_heads": 4, "n_kv_heads": 4, "ffn_mult": 2.6875, "vocab_size": 50257,
            "max_seq_len": 256, "group_size": 128, "mhc_n_streams": 2, "weight_tied": True, "rope_theta": 10000.0,
            "lr": 0.02, "mhc_lr": 1e-4, "weight_decay": 0.0, "batch_size": 8, "grad_accum_steps": 4,
            "warmup_steps": 100, "total_steps": 5000, "decay_start_frac": 0.8, "grad_clip": 1.0, "ns_steps": 5,
            "muon_momentum": 0.95, "lion_betas": [0.9, 0.99], "use_8bit_optim": False, "use_galore": False,
            "galore_rank": 256, "galore_update_freq": 200,
        }
    )  # fmt: skip
    config = imported.config
    assert build(tomllib.loads(difference_text(imported.values))) == config
    model, optimizer, schedule, training = config.model, config.optimizer, config.schedule, config.training
    assert (model.d_model, model.n_layers, model.d_ff, model.context_length) == (256, 6, 768, 256)
    assert (config.data.tokenizer, config.data.vocab_size, config.mhc.streams) == ("bpe", 50257, 2)
    assert (training.steps, training.batch_size, training.accumulation) == (5000, 32, 4)
    assert (optimizer.matrices, optimizer.others, optimizer.matrix_lr) == ("muon", "lion", 0.02)
    assert optimizer.scalar_lr == optimizer.embedding_lr == 1e-4 and optimizer.beta2 == 0.99
    assert (schedule.decay_fraction, schedule.decay_shape, schedule.final_fraction) == (0.2, "cosine", 0.1)


def test_the_keys_of_its_toml_files_become_ours() -> None:
    config = import_table(
        {
            "model": {"name": "e3", "hidden_dim": 1024, "num_layers": 12, "num_heads": 16, "num_kv_heads": 4,
                      "ffn_mult": 3.5, "vocab_size": 32000, "max_seq_len": 4096, "use_bitlinear": False},
            "training": {"seq_length": 2048, "learning_rate": 0.02, "lion_lr_mult": 0.005, "use_async_loader": True,
                         "num_workers": 6, "prefetch_batches": 12, "optimizer_type": "muon", "schedule_type": "wsd",
                         "stable_ratio": 0.8, "min_lr_ratio": 0.05, "use_mhc": False, "use_mtp": False},
            "hardware": {"target": "single_gpu", "fp16": False, "cpu_threads": 8},
            "logging": {"use_tensorboard": False},
        }
    ).config  # fmt: skip
    assert config.about.description == "e3" and config.model.linear == "float"
    assert (config.model.d_ff, config.model.context_length, config.mhc.streams) == (3584, 2048, 1)
    assert config.optimizer.scalar_lr == pytest.approx(1e-4)
    assert (config.data.workers, config.data.prefetch) == (6, 12)
    assert (config.schedule.decay_fraction, config.schedule.final_fraction) == (0.2, 0.05)
    assert (config.hardware.device, config.hardware.dtype, config.hardware.threads) == ("auto", "float32", 8)
    assert not config.logging.tensorboard


E3 = {
    "use_mtp": True, "mtp_n_tokens": 4, "mtp_weight": 0.2, "use_collider": True, "collider_threshold": 0.3,
    "collider_sparsity": 0.35, "use_8bit_optim": True, "use_galore": True, "galore_rank": 256, "galore_update_freq": 100,
}  # fmt: skip


def test_its_e3_techniques_become_ours() -> None:
    imported = import_table({"hidden_dim": 1024, "num_heads": 16, "training": E3, "use_fp4": True})
    config = imported.config
    # its head i had the weight 0.2 * 0.5^i; ours is the weight of their mean
    assert config.mtp.horizon == 4 and config.mtp.weight == pytest.approx(0.2 * (1 + 0.5 + 0.25 + 0.125))
    assert config.mtp.final_weight == config.mtp.weight
    assert (config.collider.mode, config.collider.keep) == ("head", 0.65)
    assert (config.optimizer.state, config.optimizer.state_block) == ("int8", 128)
    assert (config.galore.rank_fraction, config.galore.refresh_every) == (0.25, 100)
    assert (config.fp4.format, config.fp4.forward) == ("token", False)
    told = {note.partition(":")[0] for note in imported.notes}
    assert {"use_mtp", "use_collider", "galore_rank", "use_fp4", "training.collider_threshold"} <= told


def test_its_techniques_that_are_off_stay_off() -> None:
    off = {**E3, **dict.fromkeys(("use_mtp", "use_collider", "use_8bit_optim", "use_galore"), False)}
    imported = import_table({"dim": 256, **off})
    assert set(imported.values) == {"model.d_model"}
    assert {note.partition(":")[0] for note in imported.notes} >= {"mtp_n_tokens", "galore_rank", "collider_sparsity"}


def test_its_medium_3b_has_experts_deltanet_layers_and_four_streams() -> None:
    config = import_table(
        {
            "model": {"hidden_dim": 2048, "num_layers": 28, "num_heads": 32, "num_kv_heads": 8, "mhc_n_streams": 4,
                      "deltanet_ratio": 0.25, "use_moe": True, "num_experts": 8, "num_active_experts": 2,
                      "expert_capacity_factor": 1.25, "use_shared_expert": True, "expert_dim": 1024},
            "hardware": {"gradient_checkpointing": True},
        }
    ).config  # fmt: skip
    assert (config.moe.experts, config.moe.active, config.moe.shared, config.moe.d_expert) == (8, 2, 1, 1024)
    assert config.delta.pattern == "AADA" * 7 and not config.delta.gated and config.mhc.streams == 4
    assert config.training.activation_checkpointing == "full"


@pytest.mark.parametrize(
    ("layers", "ratio", "pattern"),
    [(4, 0, "AAAA"), (4, 1, "DDDD"), (6, 0.5, "ADADAD"), (5, 0.5, "DADAD"), (3, 9, "DDD")],
)
def test_deltanet_layers_stand_where_it_placed_them(layers: int, ratio: float, pattern: str) -> None:
    """floor((2k + 1) L / 2n) for n of L layers, n rounded half up."""
    assert placed(layers, ratio) == pattern


def test_its_loop_becomes_ours() -> None:
    adaptive = {"min_loops": 2, "max_loops": 6, "perplexity_threshold": 5.0, "exit_threshold": 0.5}
    loop = {"local_before": 1, "local_after": 1, "loop_count": 4, "adaptive_loop": adaptive}
    config = import_table({"n_layers": 3, "loop_config": loop}).config
    assert (config.loop.count, config.loop.before, config.loop.after, config.loop.exit_threshold) == (4, 1, 1, 0.5)
    looped = import_table({"model": {"architecture": "LoopLM", "n_loops": 3}, "looplm": {"entropy_weight": 0.1}}).config
    assert (looped.loop.count, looped.loop.entropy_weight) == (3, 0.1)


def test_its_loss_terms_become_ours() -> None:
    config = import_table({"label_smooth_eps": 0.1, "entropy_weight": 0.01, "newton_schulz_iters": 8}).config
    assert (config.objective.label_smoothing, config.objective.entropy_bonus, config.fire.iterations) == (0.1, 0.01, 8)


def test_what_needs_a_key_that_is_left_out_is_left_out_too() -> None:
    imported = import_table({"optimizer_type": "lion", **E3})
    assert imported.config.galore.rank_fraction == 0 and imported.config.optimizer.state == "float32"
    assert any(note.startswith("galore.refresh_every: left out") for note in imported.notes)


def test_keys_that_nothing_would_read_are_left_out_with_a_note() -> None:
    imported = import_table({"optimizer_type": "lion", "muon_momentum": 0.9, "use_bitlinear": False, "group_size": 128})
    assert 'optimizer.momentum: left out: it has no effect while optimizer.matrices = "lion"' in imported.notes
    assert set(imported.values) == {"optimizer.matrices", "model.linear"}


def test_a_synchronous_loader_has_no_workers() -> None:
    assert import_table({"use_async_loader": False, "async_n_workers": 6}).config.data.workers == 0


def test_synthetic_data_becomes_a_source() -> None:
    source = import_table({"dataset": "synthetic", "n_samples": 500}).config.data.sources[0]
    assert (source.kind, source.documents) == ("synthetic", 500)


def test_refusals_and_faults_stand_at_their_line(tmp_path: Path) -> None:
    path = tmp_path / "old.toml"
    path.write_text("[model]\nhidden_dim = 1024\nrope_scale = 4.0\n[training]\nuse_engram = true\n")
    with pytest.raises(ConfigError) as caught:
        import_file(path)
    assert caught.value.problems == [
        f"{path}:3: model.rope_scale: 4.0 asks for rotary scaling, which this version has not; "
        "set 1.0 to import the rest",
        f"{path}:5: training.use_engram: true asks for Engram, which this version has not; set false to import the rest",
    ]
    path.write_text("[model]\nhidden_dim = 4\n")
    with pytest.raises(ConfigError, match=r"old\.toml:2: model\.d_model: must be a whole number from 8"):
        import_file(path)


@pytest.mark.parametrize(
    "table",
    [
        {"ffn_mult": "3"}, {"lr": "x"}, {"lr": True}, {"decay_start_frac": float("nan")}, {"batch_size": [1]},
        {"lion_betas": 3, "mhc_lr": 1e-4}, {"lion_betas": [1], "mhc_lr": 1e-4}, {"ffn_mult": 1e300, "dim": 256},
        {"decay_steps": 5, "total_steps": "x"}, {"ffn_mult": float("inf")}, {"num_workers": -1}, {"dim": []},
        {"vocab_size": {"a": 1}}, {"mhc_n_streams": 3}, {"use_mtp": "yes"}, {"use_mtp": True, "mtp_n_tokens": 3.5},
        {"use_galore": True, "galore_rank": -1}, {"use_moe": 1}, {"deltanet_ratio": 0.5, "deltanet_v_heads": -2},
        {"n_loops": 99}, {"use_collider": True, "collider_sparsity": 1.5}, {"label_smooth_eps": 2},
    ],
)  # fmt: skip
def test_values_that_make_no_sense_are_one_clear_error(table: dict[str, Any]) -> None:
    assert all("; " in problem and "\n" not in problem for problem in _refusals(table))
