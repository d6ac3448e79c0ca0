"""Batches, rates, schedule and loader of an earlier configuration, each computed from several of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanocore.config.idle import default
from nanocore.config.legacy_techniques import Rule, first

LION_RATE = 1e-4  # its default, for a file that asks for Lion and gives no rate


def _batches(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    """The earlier batch was one micro-batch; ours is the whole step."""
    accumulation = first(old, "grad_accum_steps", "accumulation_steps", default=1)
    if "batch_size" in old:
        values["training.batch_size"] = old["batch_size"] * accumulation
    if accumulation != 1:
        values["training.accumulation"] = accumulation
        notes.append("batch_size: counts the sequences of a whole step here, over all micro-batches")


def _rates(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    rate = first(old, "muon_lr", "lr", "learning_rate", "peak_lr")
    if rate is not None:
        values["optimizer.matrix_lr"] = rate * old.get("muon_lr_mult", 1)
    if "peak_lr" in old and "muon_lr" in old:
        notes.append("peak_lr: left out: muon_lr is the rate of the matrices")
    if "min_lr_ratio" in old:
        values["schedule.final_fraction"] = old["min_lr_ratio"]
    elif "min_lr" in old and old.get("peak_lr", rate):
        values["schedule.final_fraction"] = round(old["min_lr"] / old.get("peak_lr", rate), 12)


def _lion(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    """The earlier system trained embeddings, norms and stream maps with Lion at one rate; with Muon that was Hybrid."""
    rate = first(old, "mhc_lr", "lion_lr")
    if rate is None and "lion_lr_mult" in old and "optimizer.matrix_lr" in values:
        rate = values["optimizer.matrix_lr"] * old["lion_lr_mult"]
    if rate is None and str(first(old, "optimizer_type", "type")).lower() == "hybrid":
        rate = LION_RATE
        notes.append(f"optimizer: Hybrid was Muon, and Lion for the other parameters, here at its default rate {rate}")
    if rate is not None:
        values |= {"optimizer.others": "lion", "optimizer.embedding_lr": rate, "optimizer.scalar_lr": rate}
        values["optimizer.beta1"], values["optimizer.beta2"] = _betas(old)


def _betas(old: Mapping[str, Any]) -> tuple[float, float]:
    if "lion_betas" in old:
        beta1, beta2 = old["lion_betas"]
        return beta1, beta2
    return old.get("lion_beta1", 0.9), old.get("lion_beta2", 0.99)


def _decay(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    share = _decaying_share(old, values)
    if share is not None:
        values["schedule.decay_fraction"] = round(share, 12)
    if values.get("schedule.kind", "wsd") == "wsd" and "schedule.decay_fraction" in values:
        values["schedule.decay_shape"] = "cosine"
        values.setdefault("schedule.final_fraction", 0.1)
        notes.append(
            "schedule: the earlier decay was a cosine; it ended at a tenth of the peak unless the file says so"
        )


def _decaying_share(old: Mapping[str, Any], values: dict[str, Any]) -> float | None:
    """The share of the run that decays: what the stable part leaves, or its own steps; all three parts make a run."""
    stable = first(old, "decay_start_frac", "stable_ratio")
    if stable is not None:
        return 1 - stable
    if not {"decay_steps", "stable_steps"} & set(old):
        return None
    warmup, total = values.get("schedule.warmup_steps", default("schedule.warmup_steps")), old.get("total_steps")
    if total is None and "decay_steps" in old and "stable_steps" in old:
        total = values["training.steps"] = warmup + old["stable_steps"] + old["decay_steps"]
    if not total:
        return None
    return old["decay_steps"] / total if "decay_steps" in old else (total - warmup - old["stable_steps"]) / total


def _loader(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    if old.get("use_async_loader") is False:
        values["data.workers"] = 0
        return
    workers = first(old, "num_workers", "async_n_workers")
    if workers is not None:
        values["data.workers"] = min(workers, 64)
    elif "use_async_loader" in old:
        notes.append("use_async_loader: left out: batches are prepared ahead by default (data.workers, data.prefetch)")


TRAINING: tuple[Rule, ...] = (_batches, _rates, _lion, _decay, _loader)
