"""What the next value of each switch would change: the difference of two estimates, told in the room there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services.cost import Timing, _hardware, effects
from nanoconsole.services.draft import Draft
from nanoconsole.services.format import duration
from nanoconsole.services.source import read_by_hand
from nanoconsole.services.switches import Delta, brief, deltas, words
from nanoconsole.services.techniques import SWITCHES
from nanoconsole.tui.widgets.cost_panel import told as told_of_change
from nanoconsole.tui.widgets.form_rows import told
from nanocore.config.estimate import estimate
from nanocore.config.resolve import resolve


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    file = tmp_path / "own.toml"
    file.write_text("[training]\nsteps = 10\n")
    return Draft(str(file))


def like(draft: Draft) -> list[Timing]:
    """A finished run of the draft as it is."""
    assert draft.config is not None
    return [Timing("done", float(estimate(draft.config).flops_per_token), 1e9, _hardware(draft.config))]


def test_a_delta_is_the_difference_of_the_estimates(draft: Draft) -> None:
    found = deltas(draft, [])
    assert set(found) == set(SWITCHES) - set(draft.asleep)
    now, then = estimate(resolve(str(draft.path))), estimate(resolve(str(draft.path), ["moe.experts=4"]))
    moe = found["moe.experts"]
    assert (moe.value, moe.parameters) == ("4", then.parameters - now.parameters)
    assert moe.peak_bytes == then.peak_bytes - now.peak_bytes
    assert moe.work == pytest.approx(then.flops_per_token / now.flops_per_token - 1)
    assert draft.text("moe.experts") == "0" and not draft.is_changed  # looked at, not changed


def test_it_is_seen_from_the_present_configuration_with_what_waits_aside(draft: Draft) -> None:
    draft.set("moe.experts", "4")
    draft.set("moe.active", "1")
    draft.set("moe.experts", "0")
    assert deltas(draft, [])["moe.experts"].work < 0.1  # one active expert of four, as it was set before
    draft.take(read_by_hand(draft.toml() + "[optimizer]\nmatrices = 'adamw'\n"))
    found = deltas(draft, [])
    assert found["optimizer.matrices"].value == "lion" and "galore.rank_fraction" not in found


def test_time_is_told_where_a_run_tells_it(draft: Draft) -> None:
    figures = estimate(resolve(str(draft.path)))
    timings = like(draft)
    found = deltas(draft, timings)["mtp.horizon"]
    more = found.work * figures.tokens * figures.flops_per_token / 1e9
    assert found.seconds == pytest.approx(more)
    assert "arithmetic" not in words(found)
    draft.set("mtp.horizon", found.value)
    alone = effects(draft, timings)["mtp.horizon"]  # beside the list of changes stands what the row of the switch said
    assert (alone.parameters, alone.peak_bytes, alone.seconds) == (found.parameters, found.peak_bytes, found.seconds)


def test_what_checkpointing_computes_again_is_work_and_time(draft: Draft) -> None:
    selective = deltas(draft, [])["training.activation_checkpointing"]
    assert selective.value == "selective" and 0.1 < selective.work < 1 / 3
    assert f"+{selective.work:.1%}" in [text for text, _ in brief(selective)]
    timings = like(draft)
    draft.set("training.activation_checkpointing", "full")
    full = effects(draft, timings)["training.activation_checkpointing"]
    assert selective.work < full.work < 1 / 3 and full.seconds is not None and full.seconds > 0
    assert told_of_change(full).endswith(f", +{duration(full.seconds)}")


def test_an_emulation_is_slower_than_what_is_counted(draft: Draft) -> None:
    timings = like(draft)
    found = deltas(draft, timings)["fp4.format"]
    assert (found.value, found.work, found.seconds) == ("nvfp4", 0.0, None)  # no run that emulates tells its time
    assert brief(found)[-1] == ("slower", 1.0) and words(found).endswith("slower, not counted")
    draft.set("fp4.format", "nvfp4")
    assert deltas(draft, timings)["fp4.format"].uncounted == ""  # mxfp4 is as slow
    assert told_of_change(effects(draft, timings)["fp4.format"]).endswith("slower, not counted")
    draft.set("fp4.format", "token")
    assert "faster, not counted" in words(deltas(draft, timings)["fp4.format"])


def test_what_would_be_refused_is_told(draft: Draft) -> None:
    draft.set("collider.mode", "full")
    refused = deltas(draft, [])["moe.experts"]
    assert "collider.mode" in refused.refused and brief(refused) == [("refused", 1.0)]
    assert words(refused).startswith("→ 4 is refused: ")
    draft.set("model.n_layers", "x")
    assert deltas(draft, []) == {}


def test_the_weightiest_parts_stay_where_room_is_short() -> None:
    delta = Delta("2", 513, 333 << 20, 1.0, shares=(0.001, 0.9))
    parts = brief(delta)
    assert told(parts, 40) == "→ +513  +333 MiB  +100.0%"
    assert told(parts, 20) == "→ +333 MiB  +100.0%" and told(parts, 10) == "→ +100.0%"
    assert told(parts, 8) == "+100.0%" and told(parts, 3) == ""
    assert brief(Delta("2", 5, 5, 0.0, shares=(1e-6, 1e-6))) == []  # still told in words, where there is room
    assert words(Delta("2", 5, 5)) == "→ 2: +5 parameters, +5 B of tensors"
    assert "neither" in words(Delta(""))


def test_work_that_is_no_longer_wanted_stops(draft: Draft) -> None:
    assert deltas(draft, [], lambda: True) == {}
