"""Techniques in the console: every switch works at once, numbers are those recorded, facts are those of the folder."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nanoconsole.services.cost import effects
from nanoconsole.services.draft import Draft
from nanoconsole.services.draft_changes import changes
from nanoconsole.services.draft_faults import FIELDS
from nanoconsole.services.run_facts import FactsReader, Fired, RunFacts, fires
from nanoconsole.services.switches import choices
from nanoconsole.services.techniques import SWITCHES, numbers
from nanoconsole.tui.widgets.form_rows import Row, rows, spans
from nanocore.config.estimate import estimate
from nanocore.config.idle import default
from nanocore.runs.create import update_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter
from tests.run_helpers import make_run


def draft_of(tmp_path: Path, text: str = "") -> Draft:
    file = tmp_path / "own.toml"
    file.write_text(text)
    return Draft(str(file))


def shown(draft: Draft, query: str = "") -> set[str]:
    return {row.field.key for row in rows(draft, query) if row.field}


@pytest.mark.parametrize("key", [key for key in SWITCHES if not key.startswith("mhc.") or key == "mhc.streams"])
def test_one_press_switches_a_technique_on_and_the_result_can_be_trained(key: str, tmp_path: Path) -> None:
    draft = draft_of(tmp_path)
    off, on = choices(FIELDS[key])[:2]
    assert draft.text(key) == off
    draft.set(key, on)
    assert draft.problems == {} and draft.others == []
    assert draft.config is not None and draft.value(key) != default(key)


def test_details_are_listed_while_their_technique_is_on(tmp_path: Path) -> None:
    draft = draft_of(tmp_path)
    details = {"moe.active", "moe.balance", "moe.bias_rate"}
    assert not details & shown(draft) and set(SWITCHES) - {"mhc.kind", "mhc.init", "mhc.dynamic"} <= shown(draft)
    assert details <= shown(draft, "moe")  # a search finds them all the same, and says why they do nothing
    found = "".join(text for text, _ in spans(Row(field=FIELDS["moe.active"]), draft))
    assert found.endswith("active                 2  no effect while moe.experts = 0")
    draft.set("moe.experts", "4")
    assert details <= shown(draft) and "moe.loss_weight" not in shown(draft)
    draft.set("moe.balance", "loss")
    assert "moe.loss_weight" in shown(draft) and "moe.bias_rate" not in shown(draft)


def test_details_wait_aside_while_their_technique_is_off(tmp_path: Path) -> None:
    draft = draft_of(tmp_path)
    for key, text in (("galore.rank_fraction", "0.25"), ("galore.refresh_every", "50"), ("optimizer.state", "int8")):
        draft.set(key, text)
    draft.set("optimizer.matrices", "adamw")
    assert draft.problems == {} and [change.key for change in changes(draft)] == ["optimizer.matrices"]
    draft.set("optimizer.matrices", "muon")
    assert draft.config is not None
    assert (draft.config.galore.refresh_every, draft.config.optimizer.state) == (50, "int8")
    draft.set("galore.rank_fraction", "0")
    draft.forget()
    draft.set("galore.rank_fraction", "0.5")
    assert draft.text("galore.refresh_every") == "200"  # what was forgotten does not come back
    draft.set("mtp.weight", "1")  # without a technique that reads it
    assert "no effect" in draft.problems["mtp.weight"] and "mtp.weight" in shown(draft)


def test_details_of_the_file_go_with_the_switch_they_depend_on_through_another(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, "[galore]\nrank_fraction = 0.25\nrefresh_every = 50\n")
    draft.set("optimizer.matrices", "lion")
    assert draft.problems == {}
    assert draft.config is not None and draft.config.galore.refresh_every == 200


def test_what_a_contradiction_forbids_is_told_at_its_field(tmp_path: Path) -> None:
    draft = draft_of(tmp_path)
    draft.set("collider.mode", "full")
    draft.set("moe.experts", "4")
    assert list(draft.problems) == ["collider.mode"] and "moe.experts" in draft.problems["collider.mode"]
    draft.set("collider.mode", "head")
    draft.set("collider.importance", "excess")
    assert list(draft.problems) == ["collider.reference"] and "collider.reference" in shown(draft)


def test_the_effect_of_each_change_is_that_of_the_estimate(tmp_path: Path) -> None:
    draft = draft_of(tmp_path)
    draft.set("moe.experts", "4")
    draft.set("optimizer.state", "int8")
    found = effects(draft, [])
    alone = draft.without("optimizer.state")
    assert alone is not None and draft.config is not None
    assert found["optimizer.state"].parameters == 0
    assert found["optimizer.state"].peak_bytes == estimate(draft.config).peak_bytes - estimate(alone).peak_bytes < 0
    assert found["moe.experts"].parameters == 6 * 3 * 3 * 256 * 768 + 6 * 4 * 256  # three more experts, and routers
    draft.set("moe.active", "9")
    assert effects(draft, []) == {}


def test_numbers_are_those_of_techniques_that_record_something() -> None:
    values: dict[str, float | str] = {
        "loss/mtp": "nan", "collider/kept_fraction": 0.6, "mhc/health": 1.0, "loss/z": 0.0, "loss/smoothing": 0.25,
        "collider/importance_p10": 1.0, "collider/importance_p50": 2.0, "collider/importance_p90": 4.0,
    }  # fmt: skip
    assert numbers(values.get) == [
        ("streams", "warning"),
        ("MTP", "nan"),
        ("kept", "60.0%"),
        ("importance", "1.000 / 2.000 / 4.000 (10, 50, 90 %)"),
        ("smoothing", "0.2500"),
    ]
    assert numbers({"loss/ce": 1.0, "mhc/health": math.nan}.get) == [("streams", "nan")]


def tell(run: RunFolder, *events: dict) -> None:
    writer = RecordWriter(run.events_file)
    for event in events:
        writer.write({"attempt": 1, **event})
    writer.close()


def test_facts_follow_the_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    reader = FactsReader(run)
    assert reader.read() == RunFacts(matrices=("*.attention.query.weight", "*.attention.key.weight"))
    assert reader.read().lines() == []
    update_run(run, optimizer_state={"momentum": 2048, "scales": 64}, optimizer_estimate=2112)
    run.config_file.write_text('[mhc]\nstreams = 2\nkind = "sinkhorn"\n[fire]\nparameters = ["*.query.weight"]\n')
    tell(run, {"kind": "fire", "step": 9, "error": 1e-4}, {"kind": "fire", "step": 9, "error": 3e-4})
    tell(run, {"kind": "health", "step": 10, "message": "residual streams: sick, copies"})
    found = reader.read()
    assert (found.maps, found.matrices, found.streams) == (
        "sinkhorn", ("*.query.weight",), "residual streams: sick, copies",
    )  # fmt: skip
    assert found.lines() == [
        ("techniques", "mhc.streams 2, mhc.kind sinkhorn"),
        ("optimizer", "2.06 KiB: momentum 2.00 KiB, scales 64 B; estimated 2.06 KiB"),
        ("FIRE", "step 9: 2 matrices within 3.00e-04 of orthogonal"),
    ]
    assert found.saving == []
    tell(run, {"kind": "fire", "step": 20, "error": 0.5})
    assert [fired.step for fired in reader.read().fired] == [9, 20]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[mtp]\nhorizon = 2\nkind = "sequential"\n', "mtp.horizon 2, mtp.kind sequential"),
        ('[optimizer]\nstate = "int8"\nstate_block = 64\n', "optimizer.state int8, optimizer.state_block 64"),
        (
            '[galore]\nrank_fraction = 0.25\nprojector = "int4"\n',
            "galore.rank_fraction 0.25, galore.projector int4",
        ),
        (
            '[moe]\nexperts = 4\nbalance = "loss"\nbias_rate = 0.5\n',  # which balance by loss does not read
            "moe.experts 4, moe.balance loss",
        ),
        ('[moe]\nexperts = 0\nbalance = "loss"\n[mtp]\nkind = "sequential"\n', ""),
    ],
)
def test_techniques_of_two_kinds_are_told_apart(text: str, told: str, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.config_file.write_text(text)
    assert dict(FactsReader(run).read().lines()).get("techniques", "") == told


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('[optimizer]\nstate = "int8"\n', "int8"),
        ("[galore]\nrank_fraction = 0.25\n", "float32, GaLore 1/4"),
        ("[galore]\nrank_fraction = 0.3\n", "float32, GaLore 3/10"),
        ("[galore]\nrank_fraction = 0.2512\n", "float32, GaLore 0.2512"),
        ("[galore]\nrank_fraction = nan\n", "float32, GaLore nan"),
        (
            '[optimizer]\nstate = "int8-dynamic"\n[galore]\nrank_fraction = 0.5\nprojector = "int4"\n',
            "int8-dynamic, GaLore 1/2 (int4)",
        ),
    ],
)
def test_a_smaller_state_of_the_matrices_is_told_as_a_share_of_live_bytes(text: str, form: str, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.config_file.write_text(text)
    assert FactsReader(run).read().saving == [("matrix state", form)]  # nothing is counted yet
    kinds = {"exp_avg": 9000, "momentum": 200, "projector": 40, "scales": 16, "counters": 700}
    groups = [
        {"name": "head", "optimizer": "adamw", "values": 9},
        {"name": "matrix", "optimizer": "muon", "values": 256},
    ]
    update_run(run, optimizer_state=kinds, groups=groups)
    facts = FactsReader(run).read()
    assert facts.saving == [("matrix state", f"{form}: 25.0% of float32 Muon's")]  # 256 of 4 x 256 bytes
    assert facts.saving[0] in facts.lines()


@pytest.mark.parametrize(
    ("state", "told"), [("int8", [("matrix state", "int8: 25.4% of float32 Muon's")]), ("float32", [])]
)
def test_galore_is_not_named_where_no_matrix_was_projected(state: str, told: list[object], tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.config_file.write_text(f'[optimizer]\nstate = "{state}"\n[galore]\nrank_fraction = 0.8\n')
    kinds = {"momentum": 256, "scales": 4} if state == "int8" else {"momentum": 1024}
    update_run(run, optimizer_state=kinds, groups=[{"name": "matrix", "optimizer": "muon", "values": 256}])
    facts = FactsReader(run).read()
    assert facts.saving == told and facts.techniques["galore.rank_fraction"] == "0.8"


def test_damaged_facts_are_unknown_and_safe(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    update_run(run, optimizer_state={"\x1b[2Jx": 5, "y": "z"}, optimizer_estimate="much", groups=[3, {"values": 1}])
    run.config_file.write_text('[optimizer]\nstate = ["\\u001b[2J"]\n')
    assert "\x1b" not in str(FactsReader(run).read().lines())
    run.config_file.write_text('moe = 3\n[mhc]\nstreams = "\\u001b[2J"\nkind = ["x"]\n[fire]\nparameters = 4\n')
    tell(run, {"kind": "fire", "step": "x"}, {"kind": "fire", "step": 3, "error": None}, {"kind": "health"})
    found = FactsReader(run).read()
    assert found.optimizer == {"␛[2Jx": 5} and found.estimated is None and found.matrices == ()
    assert "\x1b" not in str(found.lines())
    assert found.fired == (Fired(3, 1, 0.0),)
    run.config_file.write_text("[[[")
    assert FactsReader(run).read().techniques == {}


def test_fires_of_a_step_belong_together_and_those_of_another_attempt_do_not() -> None:
    events = [
        {"step": 4, "attempt": 1, "error": 0.1},
        {"step": 4, "attempt": 1, "error": 0.2},
        {"step": 4, "attempt": 2},
    ]
    assert fires(events) == [Fired(4, 2, 0.2), Fired(4, 1, 0.0)]
