"""The earlier system's techniques as ours: what it asked for, in the keys that now do it, with what is different said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nanocore.config.idle import default

Rule = Callable[[Mapping[str, Any], dict[str, Any], list[str]], None]  # earlier keys, our values, notes
RANK, HEADS, HEAD_WEIGHT, DROPPED = 256, 3, 0.2, 0.35  # its defaults, for keys that a file leaves out
BLOCK = 128  # values that shared a scale in its 8-bit state


def first(old: Mapping[str, Any], *names: str, default: Any = None) -> Any:
    """The value of the first of these keys that there is."""
    return next((old[name] for name in names if name in old), default)


def _off(old: Mapping[str, Any], switch: str, options: tuple[str, ...], notes: list[str]) -> bool:
    """Whether a technique is off; its options are then left out with a note."""
    if not old.get(switch, False):
        notes.extend(f"{name}: left out: {switch} is not on" for name in options if name in old)
    return not old.get(switch, False)


def _further_tokens(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    """Head i had weight 0.5^i, at least 0.01, under the weight of all; ours is a weight on the heads' mean."""
    options = ("mtp_n_tokens", "mtp_n_future_tokens", "mtp_weight")
    if _off(old, "use_mtp", options, notes):
        return
    heads = first(old, *options[:2], default=HEADS)
    weight = old.get("mtp_weight", HEAD_WEIGHT) * sum(max(0.5**index, 0.01) for index in range(min(int(heads), 8)))
    values |= {"mtp.horizon": heads, "mtp.weight": round(weight, 12), "mtp.final_weight": round(weight, 12)}
    notes.append("use_mtp: heads share the unembedding here, and the weight of their mean is that of all their losses")


def _filter(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    if _off(old, "use_collider", ("collider_sparsity",), notes):
        return
    values |= {"collider.mode": "head", "collider.keep": round(1 - old.get("collider_sparsity", DROPPED), 12)}
    notes.append(
        'use_collider: as there, loss and unembedding are filtered; collider.mode = "full" filters every layer'
    )


def _eight_bit(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    if old.get("use_8bit_optim", False):
        values["optimizer.state"] = "int8"
        values.setdefault("optimizer.state_block", BLOCK)


def _galore(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    if _off(old, "use_galore", ("galore_rank",), notes):
        return
    width = first(old, "dim", "hidden_dim", default=256)
    values["galore.rank_fraction"] = min(1.0, round(old.get("galore_rank", RANK) / max(1, width), 6))
    notes.append(
        "galore_rank: is a share of each matrix's shorter side here, and momentum really lives in the subspace"
    )


def _fp4(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    if old.get("use_fp4", False):
        values["fp4.format"] = "token"
        notes.append("use_fp4: gradients' matmuls are emulated here; the earlier system rounded the last hidden state")


def _loop(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    turns = first(old, "n_loops", "loop_count", "max_loop_depth", default=1)
    if turns > 1:
        values["loop.count"] = turns
        notes.append("loop: blocks are repeated as they are, and each token has an exit distribution that is trained")
    if turns > 1 and "loop.exit_threshold" in values:
        notes.append("exit_threshold: is compared with the cumulative exit probability here")


def _experts(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    count = first(old, "num_experts", "n_experts", default=0)
    if old.get("use_moe", True) and count > 1:
        values["moe.experts"] = count
        notes.append("moe: the router is float and balanced here; the earlier system never trained experts")
    elif count > 1 or old.get("use_moe", False):
        notes.append("use_moe: left out: it is off, or num_experts does not say how many")


def _delta(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    """The nearest of our layers: no decay, no gate, no convolution."""
    layers, ratio = int(first(old, "n_layers", "num_layers", default=6)), old.get("deltanet_ratio", 0)
    pattern = placed(layers, ratio)
    heads = first(old, "deltanet_qk_heads", "deltanet_v_heads")
    if "D" not in pattern:
        notes.extend(
            f"{name}: left out: no layer is a DeltaNet"
            for name in ("deltanet_ratio", "deltanet_qk_heads", "deltanet_v_heads")
            if name in old
        )
        return
    values |= {"delta.pattern": pattern, "delta.gated": False, "delta.conv": 0}
    if heads:
        width = first(old, "dim", "hidden_dim", default=256)
        values |= {"delta.n_heads": heads, "delta.head_dim": int(width // heads)}
    notes.append(
        "deltanet_ratio: its plain layers, where it placed them, queries, keys and values of the same heads; "
        "delta.gated = true and delta.conv = 4 are the published form"
    )


def _fire(old: Mapping[str, Any], values: dict[str, Any], notes: list[str]) -> None:
    advised = default("fire.iterations")
    if old.get("newton_schulz_iters", advised) < advised:
        notes.append(
            f"newton_schulz_iters: is fewer than the {advised} advised here; too few leave small singular values near 0"
        )


def placed(layers: int, ratio: float) -> str:
    """The kinds of `layers` layers, of which it made a share DeltaNet, evenly spread."""
    chosen = int(min(1.0, max(0.0, ratio)) * min(layers, 256) + 0.5)
    deltas = {(2 * index + 1) * layers // (2 * chosen) for index in range(chosen)}
    return "".join("D" if layer in deltas else "A" for layer in range(min(layers, 256)))


TECHNIQUES: tuple[Rule, ...] = (_further_tokens, _filter, _eight_bit, _galore, _fp4, _loop, _experts, _delta, _fire)
