"""Keys of the earlier system that are computed together: its optimizer and schedule, and a note for what had no part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nanocore.config.legacy import import_table
from nanocore.errors import ConfigError


@pytest.mark.parametrize(
    ("table", "note"),
    [
        ({"lion_betas": [0.9, 0.98]}, "lion_betas: left out: it says nothing without mhc_lr or lion_lr"),
        ({"min_lr": 1e-4}, "min_lr: left out: it says nothing without lr or learning_rate or muon_lr or peak_lr"),
        ({"stable_steps": 5}, "stable_steps: left out: it says nothing without total_steps"),
        (
            {"n_eval_examples": 5},
            "n_eval_examples: left out: it says nothing without seq_len or seq_length or max_seq_len",
        ),
        ({"seq_len": 64, "max_seq_len": 128}, "max_seq_len: left out: other keys of the file decide"),
        (
            {"mhc_lr": 1e-4, "lion_betas": [0.9, 0.98], "lion_beta1": 0.8},
            "lion_beta1: left out: other keys of the file",
        ),
        ({"num_workers": 6, "use_async_loader": False}, "num_workers: left out: other keys of the file decide"),
        ({"use_async_loader": True}, "use_async_loader: left out: batches are prepared ahead by default"),
        ({"newton_schulz_iters": 8}, "newton_schulz_iters: is fewer than the 30 advised here"),
    ],
)
def test_a_key_without_effect_beside_the_others_has_a_note_that_says_why(table: dict[str, Any], note: str) -> None:
    assert [told.startswith(note) for told in import_table(table).notes].count(True) == 1


def test_keys_that_were_used_have_no_such_note() -> None:
    table = {"lr": 0.02, "min_lr": 1e-3, "mhc_lr": 1e-4, "lion_betas": [0.9, 0.99], "num_workers": 2, "seq_len": 64}
    assert [note for note in import_table(table).notes if "left out" in note] == []


def test_its_stretches_of_the_schedule_become_a_share_of_the_run() -> None:
    """As in its files: warm-up, stable part and decay make the whole run."""
    parts = {"warmup_steps": 100, "stable_steps": 300, "min_lr": 1e-3, "peak_lr": 1e-2}
    schedule = import_table({**parts, "total_steps": 500}).config.schedule
    assert (schedule.decay_fraction, schedule.final_fraction, schedule.decay_shape) == (0.2, 0.1, "cosine")
    whole = import_table({**parts, "decay_steps": 100}).config
    assert (whole.training.steps, whole.schedule.decay_fraction) == (500, 0.2)
    assert import_table({"decay_steps": 50, "total_steps": 500}).config.schedule.decay_fraction == 0.1
    with pytest.raises(ConfigError, match=r"schedule\.decay_fraction: must be "):
        import_table({**parts, "total_steps": 300})


@pytest.mark.parametrize(
    "shape", [lambda kind: {"optimizer_type": kind}, lambda kind: {"training": {"optimizer": {"type": kind}}}]
)
def test_its_hybrid_is_muon_with_lion_for_the_rest(shape: Callable[[str], dict[str, Any]]) -> None:
    imported = import_table(shape("Hybrid"))
    optimizer = imported.config.optimizer
    assert (optimizer.matrices, optimizer.others, optimizer.embedding_lr, optimizer.scalar_lr) == (
        "muon", "lion", 1e-4, 1e-4,
    )  # fmt: skip
    assert (optimizer.beta1, optimizer.beta2) == (0.9, 0.99)
    assert any("Lion for the other parameters, here at its default rate 0.0001" in note for note in imported.notes)
    given = import_table({**shape("Hybrid"), "lion_lr": 3e-4})
    assert given.config.optimizer.scalar_lr == 3e-4 and not any("default rate" in note for note in given.notes)
    assert import_table(shape("Muon")).config.optimizer.others == "adamw"


def test_a_section_that_is_left_out_hides_no_key_of_the_same_name() -> None:
    imported = import_table({"batch_size": 8, "loop_config": {"batch_size": 99}, "serving": {"total_steps": "x"}})
    assert imported.config.training.batch_size == 8
