"""Built-in presets are valid and honest; the user's presets never replace them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from nanoconsole.cli.target import source
from nanoconsole.services.format import count, size
from nanocore.config import toml
from nanocore.config.earlier import EARLIER, Counterpart, counterpart
from nanocore.config.estimate import estimate
from nanocore.config.fields import changed, get
from nanocore.config.presets import Preset, find, presets, save_preset, user_folder
from nanocore.config.resolve import resolve
from nanocore.config.schema import Config
from nanocore.errors import UsageError

BUILT_IN = [preset for preset in presets() if preset.origin == "built-in"]


D20_VARIANTS = ["d20-mtp", "d20-loop", "d20-e3-full", "d20-e3-fp4"]
SUITE = ["e3-mtp", "e3-muon-8bit", "e3-galore", "e3-galore-8bit", "e3-full"]
SIZES = ["nano-125m", "small-560m", "nano-1b", "medium-3b", "large-7b"]
TECHNIQUES = ("loop.", "fp4.", "mtp.", "collider.", "galore.", "optimizer.state")


def test_the_promised_presets_are_there() -> None:
    others = ["tiny-cpu", "nanogpt-cpu", "test-8bit", "d20", "e3-baseline"]
    assert {preset.name for preset in BUILT_IN} == {*others, *D20_VARIANTS, *SUITE, *SIZES}


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_a_built_in_preset_is_valid_and_says_what_it_is_for(preset) -> None:
    config = resolve(preset.name)
    assert preset.problem == "" and preset.description == config.about.description != ""


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_the_parameters_a_preset_states_are_those_of_the_estimate(preset: Preset) -> None:
    """As in the list of presets: prediction heads count too."""
    figures, text = estimate(resolve(preset.name)), preset.description
    assert re.findall(r"([\d.]+[kMB]) parameters", text) == [count(figures.parameters)]
    assert set(re.findall(r"([\d.]+[MB]) (?:of them )?ternary", text)) <= {count(figures.ternary_parameters)}
    sparse = figures.active_parameters != figures.parameters
    assert re.findall(r"([\d.]+B) of them active", text) == [count(figures.active_parameters)] * sparse


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_the_memory_a_preset_states_is_that_of_the_estimate(preset: Preset) -> None:
    expects = toml.load(preset.path).about.expects
    peak = re.search(r"([\d.]+) (MiB|GiB) of tensors at the peak", expects)
    assert peak is not None
    low = ["hardware.device=cuda", "hardware.dtype=bfloat16"]
    figures = estimate(
        resolve(preset.name, low if "bfloat16" in expects else ["hardware.device=cpu", "hardware.dtype=float32"])
    )
    assert peak.group(1, 2) == tuple(size(figures.peak_bytes).split())
    card = re.search(r"A GPU of (\d+) GB", expects)
    assert card is None or figures.peak_bytes < int(card.group(1)) * 0.9e9


SECONDS = {"s": 1, "min": 60, "h": 3600, "days": 86400, "years": 365.25 * 86400}
SPAN = r"([\d.]+) (s|min|h|days|years) at (an assumed )?([\d.]+) ([GT])FLOP/s"
BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def operations(name: str) -> int:
    figures = estimate(resolve(name))
    return figures.tokens * figures.flops_per_token


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_the_time_a_preset_states_follows_from_the_estimate_at_a_rate_it_names(preset: Preset) -> None:
    """Operations, and the time they take; a rate of a GPU is called assumed, and the time not measured."""
    found = re.search(r"Time (not )?measured[^:]*: ([\d.]+e\d+) operations, (.*)", preset.expects)
    assert found and bool(found[1]) == (preset.name != "tiny-cpu")
    assert float(found[2]) == pytest.approx(operations(preset.name), rel=0.005)
    spans = re.findall(SPAN, found[3])
    assert spans and len(spans) == found[3].count("FLOP/s")
    for number, unit, assumed, rate, scale in spans:
        seconds = operations(preset.name) / (float(rate) * {"G": 1e9, "T": 1e12}[scale])
        assert float(number) * SECONDS[unit] == pytest.approx(seconds, rel=0.03)
        assert bool(assumed) == (scale == "T")


@pytest.mark.parametrize(
    ("preset", "row"), [("tiny-cpu", r"whole run, .* \| (\d+) s"), ("nanogpt-cpu", r"([\d,]+) \| 1.98")]
)
def test_rates_of_a_processor_are_those_that_were_measured(preset: str, row: str) -> None:
    """Seconds of the whole run, or tokens a second, from the page that `expects` names."""
    found = re.search(row, BENCHMARKS.read_text())
    assert found and "docs/benchmarks.md" in find(preset).expects
    measured, figures = float(found[1].replace(",", "")), estimate(resolve(preset))
    rate = operations(preset) / measured if preset == "tiny-cpu" else measured * figures.flops_per_token
    (stated,) = re.findall(r"([\d.]+) GFLOP/s", find(preset).expects)
    assert float(stated) * 1e9 == pytest.approx(rate, rel=0.01)
    assert preset != "tiny-cpu" or f"{found[1]} s at" in find(preset).expects


def test_what_the_heads_of_d20_mtp_cost_is_as_it_and_the_techniques_page_say() -> None:
    base, one, three = (estimate(resolve("d20", [f"mtp.horizon={heads}"])).flops_per_token for heads in (0, 1, 3))
    page = (BENCHMARKS.parent / "techniques" / "multi-token-prediction.md").read_text()
    said = [
        f"costs {count(base)} operations",
        f"head {count(one)} ({one / base:.1f} times)",
        f"{count(three)} ({three / base:.1f} times)",
    ]
    assert all(words in " ".join(page.split()) for words in said)
    assert f"costs {three / base:.1f} times the operations" in find("d20-mtp").path.read_text()


def test_what_one_head_costs_is_on_its_page_as_the_switches_tell_it() -> None:
    def more(name: str, kind: str) -> str:
        plain, headed = (
            estimate(resolve(name, ["collider.mode=off", f"mtp.horizon={heads}", *kinds]))
            for heads, kinds in ((0, []), (1, [f"mtp.kind={kind}"]))
        )
        return f"{headed.flops_per_token / plain.flops_per_token - 1:.0%}".replace("%", " %")

    page = (BENCHMARKS.parent / "techniques" / "multi-token-prediction.md").read_text()
    tiny, nano = ([more(name, kind) for kind in ("independent", "sequential")] for name in ("tiny-cpu", "nano-125m"))
    said = f"adds {tiny[0]} to tiny-cpu and {nano[0]} to nano-125m without Collider, one sequential module {tiny[1]} and {nano[1]}"
    assert said in " ".join(page.split())


def test_what_token_filtering_saves_of_memory_is_as_its_page_says() -> None:
    def kept(*sets: str) -> str:
        found = estimate(resolve("tiny-cpu", ["hardware.device=cpu", "hardware.dtype=float32", *sets]))
        return size(found.activation_bytes).split()[0]

    page = " ".join((BENCHMARKS.parent / "techniques" / "token-filtering.md").read_text().split())
    full, joined = ["collider.mode=full", "collider.keep=0.6"], "data.isolate_documents=false"
    assert f"go from {kept()} to {kept(*full)} MiB" in page
    assert f"without isolated documents from {kept(joined)} to {kept(joined, *full)};" in page


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_the_tokens_a_preset_states_are_those_it_trains(preset: Preset) -> None:
    config = resolve(preset.name)
    stated = re.findall(r"([\d.]+[kMG]) (?:tokens|of tokens)", config.about.expects)
    assert stated == [count(estimate(config).tokens).replace("B", "G")]


@pytest.mark.parametrize(
    ("base", "name"), [*(("d20", name) for name in D20_VARIANTS), *(("e3-baseline", name) for name in SUITE)]
)
def test_a_variant_differs_from_its_base_in_techniques_alone(base: str, name: str) -> None:
    differing = [key for key, *_ in changed(resolve(base), resolve(name)) if not key.startswith("about.")]
    assert differing and [key for key in differing if not key.startswith(TECHNIQUES)] == []


@pytest.mark.parametrize("name", [*SIZES, "e3-baseline"])
def test_large_presets_follow_the_two_stages_of_bitnet(name: str) -> None:
    """Weight decay 0.1 at the high rate, none while it falls; see test_optim_schedule for what the keys do."""
    config = resolve(name)
    assert (config.optimizer.matrix_weight_decay, config.schedule.kind) == (0.1, "wsd")
    assert config.schedule.decay_weight_decay and config.schedule.decay_fraction > 0


def test_presets_have_the_techniques_they_are_known_for() -> None:
    nano, small, medium, large = (resolve(name) for name in ("nano-125m", "small-560m", "medium-3b", "large-7b"))
    assert nano.mtp.horizon and nano.collider.mode == "full" and nano.data.workers > 1
    assert small.mtp.horizon and small.collider.mode == "head" and "D" in small.delta.pattern
    assert (medium.moe.experts, medium.moe.active, medium.mhc.streams) == (8, 2, 4) and "D" in medium.delta.pattern
    assert {config.optimizer.state for config in (small, medium, large, resolve("test-8bit"))} == {"int8"}
    assert small.galore.rank_fraction and large.galore.rank_fraction


@pytest.mark.parametrize("preset", BUILT_IN, ids=lambda preset: preset.name)
def test_a_built_in_preset_holds_only_differences_each_with_a_comment(preset) -> None:
    table = tomllib.loads(preset.path.read_text())
    written = {f"{section}.{name}" for section, keys in table.items() for name in keys if section != "about"}
    differing = {key for key, _, _ in changed(Config(), toml.load(preset.path))}
    assert written == differing
    for line in preset.path.read_text().splitlines():
        if " = " in line and not line.startswith(("#", "description", "expects")):
            assert "  # " in line or " # " in line, line


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^tiny_cpu: no preset has this name; did you mean tiny-cpu\?$"):
        find("tiny_cpu")
    with pytest.raises(UsageError, match=r"; the presets are .*tiny-cpu"):
        find("\x1bqqqq")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("e3_muon", r"did you mean e3-baseline\?$"),
        ("e3-galore2", r"did you mean e3-galore\?$"),
        ("train_small_560m", r"did you mean small-560m\?$"),
        ("production_e3_full", r"did you mean d20-e3-full\? docs/configuration.md lists what makes it as large"),
    ],
)
def test_a_name_of_the_earlier_system_leads_to_what_stands_for_it(name: str, fix: str) -> None:
    with pytest.raises(UsageError, match=fix):
        find(name)
    with pytest.raises(UsageError, match=fix):
        source(name, Path())


@pytest.mark.parametrize("row", EARLIER, ids=lambda row: row.names[0])
def test_what_stands_for_an_earlier_configuration_is_there_and_as_large_as_it_says(row: Counterpart) -> None:
    figures = estimate(resolve(row.preset, [*row.sets, "mtp.horizon=0"]))
    if row.sets:
        assert figures.parameters == pytest.approx(float(row.parameters.removesuffix("M")) * 1e6, rel=0.03)
        assert figures.tokens == pytest.approx(50_000 * 32 * 2048, rel=0.03)  # 65k tokens in each step


def test_the_page_on_data_states_the_same_of_the_earlier_scripts() -> None:
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    stated = re.findall(r"\| `train ([\w-]+) [^|]*?\(([\d.]+)([MB])", text)
    assert len(stated) == 3
    for name, number, unit in stated:
        parameters = estimate(resolve(name)).parameters
        assert parameters == pytest.approx(float(number) * {"M": 1e6, "B": 1e9}[unit], rel=0.005)
    for name in ("train_production_e3", "production_e3_full"):
        row = counterpart(name)
        assert row and [change for change in row.sets if f"--set {change}" not in text] == []


def test_every_name_of_a_counterpart_is_found_and_only_once() -> None:
    names = [name for row in EARLIER for name in row.names]
    assert len(set(names)) == len(names)
    assert [counterpart(name) for name in names] == [row for row in EARLIER for _ in row.names]
    assert counterpart("d20") is None and counterpart("") is None


def test_a_saved_preset_holds_the_differences_and_resolves_to_the_same(tmp_path: Path) -> None:
    config = resolve("tiny-cpu", ["training.duration=8h", "model.qk_norm=false"])
    path = save_preset("mine", config, 'my "first" try')
    assert path == user_folder() / "mine.toml"
    assert changed(resolve("mine"), config) == []
    assert find("mine").origin == "yours" and find("mine").description == 'my "first" try'
    assert 'linear = "ternary"' not in path.read_text()
    assert 'duration = "8h"  # Length of the run' in path.read_text()


def test_a_preset_saved_from_a_file_keeps_its_comments() -> None:
    base = find("tiny-cpu").path
    config = resolve("tiny-cpu", ["model.d_model=64", "hardware.threads=1"])
    path = save_preset("narrow", config, "narrower", base=base)
    assert changed(resolve("narrow"), config) == []
    comments = [line.partition("#")[2] for line in base.read_text().splitlines() if "#" in line]
    assert all(comment in path.read_text() for comment in comments)
    assert resolve("narrow").about.expects == ""  # what tiny-cpu expects is not true of it


def test_saving_again_replaces_the_users_preset() -> None:
    save_preset("mine", resolve("tiny-cpu"), "one")
    save_preset("mine", resolve("tiny-cpu", ["model.d_model=64"]), "two")
    assert get(resolve("mine"), "model.d_model") == 64
    assert [preset.name for preset in presets() if preset.origin == "yours"] == ["mine"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-rf", ".hidden", "A", "a..b", "x" * 65, "a\n", "a b", "\x1b"])
def test_names_that_are_no_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a preset"):
        save_preset(name, Config(), "")
    assert not user_folder().exists()


def test_built_in_names_are_never_overwritten() -> None:
    with pytest.raises(UsageError, match="tiny-cpu: is the name of a built-in preset; choose another name"):
        save_preset("tiny-cpu", Config(), "")
    user_folder().mkdir(parents=True)
    (user_folder() / "tiny-cpu.toml").write_text("[model]\nd_model = 8\n")
    assert resolve("tiny-cpu").model.d_model != 8
    assert [p.problem for p in presets() if p.origin == "yours"] == ["a built-in preset has this name; rename the file"]


def test_broken_and_hostile_files_of_the_user_are_listed_harmless() -> None:
    user_folder().mkdir(parents=True)
    (user_folder() / "broken.toml").write_text("[model\n")
    (user_folder() / "evil.toml").write_text('[about]\ndescription = "\\u001b]52;c;x\\u0007[red]"\n')
    (user_folder() / "Bad Name\x1b.toml").write_text("")
    mine = {preset.name: preset for preset in presets() if preset.origin == "yours"}
    assert mine["broken"].problem.startswith(f"{user_folder()}/broken.toml:1: is not valid TOML")
    assert "cannot name a preset" in mine["Bad Name\u241b"].problem
    assert all(f"{p.name}{p.description}{p.problem}".isprintable() for p in mine.values())
