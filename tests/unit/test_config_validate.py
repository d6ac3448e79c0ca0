"""Every way a configuration can be wrong is one line with place, key, what is wrong and what to do."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nanocore.config import toml
from nanocore.config.fields import changed, get
from nanocore.config.idle import IDLE, Idle, default
from nanocore.config.schema import Config, seconds
from nanocore.config.validate import build
from nanocore.errors import ConfigError


def _problems(text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        toml.load(path)
    assert caught.value.exit_code == 2
    assert all(problem.startswith(f"{path}") and "\n" not in problem for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[model]\nd_modle = 3", ":2: model.d_modle: unknown key; did you mean model.d_model?"),
        ("[galore]\nrank = 4", ":2: galore.rank: unknown key; did you mean galore.rank_fraction?"),
        ("[modle]\nd_model = 3", ":1: modle: unknown key; did you mean model?"),
        ("[model]\nbatch_size = 3", ":2: model.batch_size: unknown key; did you mean training.batch_size?"),
        ("d_model = 3", ":1: d_model: unknown key; did you mean model.d_model?"),
        ("[model]\nzzzz = 3", ":2: model.zzzz: unknown key; `nanoconsole config show` lists all keys"),
        ("model = 3", ":1: model: is a section of keys, found 3; write [model] and its keys below it"),
        ("[model]\nd_model = 4", ":2: model.d_model: must be a whole number from 8 to 16384, found 4; the default is 256"),
        ('[model]\nd_model = "8"', ':2: model.d_model: must be a whole number from 8 to 16384, found "8"; write it without quotes'),
        ("[model]\nd_model = 64.0", ":2: model.d_model: must be a whole number from 8 to 16384, found 64.0; the default is 256"),
        ("[model]\nd_model = true", ":2: model.d_model: must be a whole number from 8 to 16384, found true; the default is 256"),
        ("[model]\nqk_norm = 1", ":2: model.qk_norm: must be true or false, found 1; the default is true"),
        ('[model]\nqk_norm = "true"', ':2: model.qk_norm: must be true or false, found "true"; remove the quotes'),
        ('[model]\nlinear = "ternery"', ':2: model.linear: must be "ternary" or "float", found "ternery"; did you mean "ternary"?'),
        ("[optimizer]\nmatrix_lr = nan", ":2: optimizer.matrix_lr: must be a number from 0 to 100, found nan; the default is 0.02"),
        ("[optimizer]\nmatrix_lr = 1e999", ":2: optimizer.matrix_lr: must be a number from 0 to 100, found inf; the default is 0.02"),
        ("[optimizer]\nmatrix_lr = true", ":2: optimizer.matrix_lr: must be a number from 0 to 100, found true; the default is 0.02"),
        ("[optimizer]\nmomentum = 1", ":2: optimizer.momentum: must be a number from 0 to below 1, found 1; the default is 0.95"),
        ("[data]\nvalidation_fraction = 0", ":2: data.validation_fraction: must be a number above 0 and below 0.5, found 0; the default is 0.05"),
        ("[mhc]\nstreams = true", ":2: mhc.streams: must be 1, 2 or 4; write one of these numbers"),
        ("[mhc]\nstreams = 3", ":2: mhc.streams: must be 1 or 2 or 4, found 3; the default is 1"),
        ("[about]\ndescription = 2026-01-01", ":2: about.description: must be text in quotes of at most 400 characters, found 2026-01-01; put it in quotes"),
        ('[hardware]\ndevice = "gpu"', ':2: hardware.device: must be auto, cpu, cuda or cuda:N, found "gpu"; the default is "auto"'),
        ('[hardware]\ndevice = "CUDA:1"', ':2: hardware.device: must be auto, cpu, cuda or cuda:N, found "CUDA:1"; write "cuda:1"'),
        ('[delta]\npattern = "ddda"', ':2: delta.pattern: must be capital letters D and A without spaces, such as DDDA, at most 256, or empty, found "ddda"; write "DDDA"'),
        ('[delta]\npattern = "X"', ':2: delta.pattern: must be capital letters D and A without spaces, such as DDDA, at most 256, or empty, found "X"; the default is ""'),
        ('[data]\n[[data.sources]]\n[[data.sources]]\nkind = "file"', ':4: data.sources[1].kind: must be "stdlib" or "files" or "jsonl" or "parquet" or "synthetic", found "file"; did you mean "files"?'),
        ("[data]\n[[data.sources]]\npath = []", ":3: data.sources[0].path: unknown key; did you mean paths?"),
        ('[data]\nsources = ["stdlib"]', ':2: data.sources[0]: must be a table in { }, found "stdlib"; the default is [{ kind = "stdlib", weight = 1.0 }]'),
        ("[data]\nsources = []", ":2: data.sources: must be a list in [ ] of 1 to 64 entries, found []; the default is [{ kind = \"stdlib\", weight = 1.0 }]"),
        ("schema = 2", ":1: schema: this program reads configurations of version 1, found 2; use the version of nanoconsole that wrote it"),
        ("schema = true", ":1: schema: this program reads configurations of version 1, found true; use the version of nanoconsole that wrote it"),
        ('[evaluation]\nsample_prompt = "\\u001b]52;c;x\\u0007"', ":2: evaluation.sample_prompt: holds control characters; remove them"),
        ('[data]\n[[data.sources]]\nkind = "files"\npaths = ["\\u202e"]', ":4: data.sources[0].paths: holds control characters; remove them"),
    ],
)  # fmt: skip
def test_one_fault_is_one_line(text: str, problem: str, tmp_path: Path) -> None:
    assert _problems(text, tmp_path) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[model]\nn_heads = 5\nn_kv_heads = 5", ":2: model.n_heads: 5 heads do not divide d_model = 256; choose a divisor, or set model.head_dim"),
        ("[model]\nhead_dim = 5", ":2: model.head_dim: a head is 5 wide, and rotary positions need an even width; change n_heads or head_dim"),
        ("[model]\nn_kv_heads = 3", ":2: model.n_kv_heads: 3 key-value heads do not divide n_heads = 4; choose a divisor of n_heads"),
        ("[model]\ngroup_size = 96", ":2: model.group_size: 96 does not divide the input width 256; choose a divisor, or 0"),
        ("[training]\naccumulation = 3", ":2: training.accumulation: 3 micro-batches do not divide batch_size = 16; choose a divisor of batch_size"),
        ("[training]\nsteps = 5\ntokens = 9", ':3: training.tokens: exactly one of steps, tokens and duration rules a run, found steps and tokens; set the others to 0, 0 and ""'),
        ("[training]\nsteps = 0", ':2: training.steps: exactly one of steps, tokens and duration rules a run, found none; set the others to 0, 0 and ""'),
        ('[training]\nduration = "8 hours"', ":2: training.duration: '8 hours' is not a duration such as 30m, 8h or 1h30m; write hours, minutes and seconds in that order"),
        ('[training]\nduration = "0h"', ":2: training.duration: is zero; give a length such as 30m or 8h"),
        ("[training]\nbatch_size = 1000000\n[model]\ncontext_length = 131072\n[evaluation]\ntokens = 200000", ":2: training.batch_size: a step would train 131072000000 tokens, the most is 1073741824; make batch_size or context_length smaller"),
        ("[model]\nd_model = 16384\nn_heads = 8\nd_ff = 131072\nn_layers = 256", ":2: model.d_model: the model would have over 1e+12 parameters; make it smaller"),
        ("[data]\nvocab_size = 300", ':2: data.vocab_size: the bytes tokenizer has 257 tokens, found 300; set 0, or choose data.tokenizer = "bpe"'),
        ('[data]\ntokenizer = "bpe"', ":1: data.vocab_size: a bpe tokenizer has at least 257 tokens, found 0; set for example 4096"),
        ('[data]\ntokenizer = "file"', ':1: data.tokenizer_file: is empty while data.tokenizer = "file"; give the path of a tokenizer.json'),
        ('[data]\ntokenizer_file = "t.json"', ':2: data.tokenizer_file: is given while data.tokenizer = "bytes"; remove it, or choose data.tokenizer = "file"'),
        ('[[data.sources]]\nkind = "jsonl"', ":1: data.sources[0].paths: is empty, a jsonl source reads files; give at least one glob"),
        ('[[data.sources]]\npaths = ["x"]', ":2: data.sources[0].paths: has no meaning for a stdlib source; remove it or change kind"),
        ('[[data.sources]]\ncolumn = "x"', ":2: data.sources[0].column: has no meaning for a stdlib source; remove it or change kind"),
        ("[[data.sources]]\ndocuments = 9", ":2: data.sources[0].documents: has no meaning for a stdlib source; remove it or change kind"),
        ('[[data.sources]]\nkind = "jsonl"\npaths = ["x"]\nseed = 1', ":4: data.sources[0].seed: has no meaning for a jsonl source; remove it or change kind"),
        ('[fire]\nat_step = 3\n[loop]\ncount = 2\nstage = "gate"', ':2: fire.at_step: matrices stay as they are while loop.stage = "gate"; set it to 0, or loop.stage = "joint"'),
        ("[evaluation]\ntokens = 100", ":2: evaluation.tokens: 100 tokens hold no sequence of context_length = 256; set at least 256"),
        ("[moe]\nexperts = 1", ":2: moe.experts: 1 is fewer than moe.active = 2, which is its default; make it larger, or set moe.active = 1"),
        ("[moe]\nexperts = 4\nactive = 5", ":3: moe.active: 5 experts for each token, of moe.experts = 4; make it smaller, or moe.experts larger"),
        ("[loop]\ncount = 2\nafter = 6", ":3: loop.after: 0 blocks before and 6 after leave none of 6 to loop; make loop.before or loop.after smaller, or model.n_layers larger"),
        ("[loop]\ncount = 2\nbefore = 5\nafter = 1", ":3: loop.before: 5 blocks before and 1 after leave none of 6 to loop; make loop.before or loop.after smaller, or model.n_layers larger"),
        ('[delta]\npattern = "AAAAAAD"', ':2: delta.pattern: "AAAAAAD" makes none of 6 layers a DeltaNet layer; write a pattern such as "DDDA", or "" for attention everywhere'),
    ],
)  # fmt: skip
def test_keys_that_contradict_each_other_are_refused(text: str, problem: str, tmp_path: Path) -> None:
    assert _problems(text, tmp_path) in ([problem], [problem.replace(":1: ", ": ")])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[model]\ngroup_size = 128\nlinear = "float"', ':2: model.group_size: 128 has no effect while model.linear = "float"; set it to 0, its default, or change model.linear'),
        ("[mhc]\ndynamic = true", ":2: mhc.dynamic: true has no effect while mhc.streams = 1; set it to false, its default, or change mhc.streams"),
        ("[mhc]\nevery = 7", ":2: mhc.every: 7 has no effect while mhc.streams = 1; set it to 100, its default, or change mhc.streams"),
        ("[data]\nprefetch = 7\nworkers = 0", ":2: data.prefetch: 7 has no effect while data.workers = 0; set it to 4, its default, or change data.workers"),
        ('[optimizer]\nmomentum = 0.9\nmatrices = "adamw"', ':2: optimizer.momentum: 0.9 has no effect while optimizer.matrices = "adamw"; set it to 0.95, its default, or change optimizer.matrices'),
        ('[optimizer]\nnesterov = false\nmatrices = "lion"', ':2: optimizer.nesterov: false has no effect while optimizer.matrices = "lion"; set it to true, its default, or change optimizer.matrices'),
        ('[optimizer]\nnewton_schulz_steps = 6\nmatrices = "lion"', ':2: optimizer.newton_schulz_steps: 6 has no effect while optimizer.matrices = "lion"; set it to 5, its default, or change optimizer.matrices'),
        ('[optimizer]\nshape_scale = "match_rms_adamw"\nmatrices = "lion"', ':2: optimizer.shape_scale: "match_rms_adamw" has no effect while optimizer.matrices = "lion"; set it to "original", its default, or change optimizer.matrices'),
        ('[optimizer]\neps = 1e-6\nothers = "lion"', ':2: optimizer.eps: 1e-06 has no effect while optimizer.matrices = "muon" and optimizer.others = "lion" and mhc.streams = 1; set it to 1e-08, its default, or change optimizer.matrices or optimizer.others or mhc.streams'),
        ('[schedule]\ndecay_fraction = 0.2\nkind = "cosine"', ':2: schedule.decay_fraction: 0.2 has no effect while schedule.kind = "cosine"; set it to 0.3, its default, or change schedule.kind'),
        ('[schedule]\ndecay_shape = "cosine"\nkind = "linear"', ':2: schedule.decay_shape: "cosine" has no effect while schedule.kind = "linear"; set it to "linear", its default, or change schedule.kind'),
        ('[schedule]\nfinal_fraction = 0.1\nkind = "constant"', ':2: schedule.final_fraction: 0.1 has no effect while schedule.kind = "constant"; set it to 0.0, its default, or change schedule.kind'),
        ("[schedule]\nfinal_fraction = 0.1\ndecay_fraction = 0", ':2: schedule.final_fraction: 0.1 has no effect while schedule.kind = "wsd" and schedule.decay_fraction = 0.0; set it to 0.0, its default, or change schedule.kind or schedule.decay_fraction'),
        ("[schedule]\ndecay_weight_decay = true", ":2: schedule.decay_weight_decay: true has no effect while optimizer.matrix_weight_decay = 0.0 and optimizer.other_weight_decay = 0.0; set it to false, its default, or change optimizer.matrix_weight_decay or optimizer.other_weight_decay"),
    ],
)  # fmt: skip
def test_a_key_that_nothing_reads_is_refused_with_the_reason(text: str, problem: str, tmp_path: Path) -> None:
    assert _problems(text, tmp_path) == [problem]


# Settings that are idle themselves while their technique is off stand beside a technique that is on.
SWITCHED_ON = {"loop": {"count": 2}, "moe": {"experts": 4}, "fp4": {"format": "nvfp4"}}


@pytest.mark.parametrize("reason", IDLE, ids=lambda reason: "+".join(reason.when))
def test_defaults_are_accepted_beside_every_setting_that_makes_them_idle(reason: Idle) -> None:
    for values in itertools.product(*reason.when.values()):
        table: dict[str, dict[str, object]] = {section: dict(keys) for section, keys in SWITCHED_ON.items()}
        for key, value in [*zip(reason.when, values, strict=True), *((key, default(key)) for key in reason.keys)]:
            section, _, name = key.partition(".")
            table.setdefault(section, {})[name] = value
        built = build(table)
        assert all(get(built, key) == value for key, value in zip(reason.when, values, strict=True))


def test_weight_decay_that_ends_with_a_decay_of_any_schedule_is_accepted() -> None:
    for kind in ("wsd", "cosine", "linear"):
        table = {"schedule": {"kind": kind, "decay_weight_decay": True}, "optimizer": {"other_weight_decay": 0.1}}
        assert build(table).schedule.decay_weight_decay


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = '[model]\nd_modle = 1\nn_heads = "x"\nn_kv_heads = 3\ngroup_size = 7\n[mhc]\ndynamic = true\n[hardware]\nnice = 20\n'
    problems = _problems(text, tmp_path)
    assert [problem.split(": ")[1] for problem in problems] == [
        "model.n_heads",
        "model.d_modle",
        "hardware.nice",
        "mhc.dynamic",
    ]  # the rules that read n_heads wait until it is right


def test_a_file_full_of_faults_is_judged_by_its_first() -> None:
    with pytest.raises(ConfigError) as caught:
        build({f"key{number}": 1 for number in range(100_000)})
    assert len(caught.value.problems) == 50


def test_a_section_that_is_no_table_does_not_hide_other_faults() -> None:
    with pytest.raises(ConfigError) as caught:
        build({"model": 3, "mhc": {"dynamic": True}, "training": {"steps": 0}, "evaluation": {"tokens": 100}})
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["model", "training.steps", "mhc.dynamic"]


def test_whole_numbers_are_accepted_for_numbers() -> None:
    rate = build({"optimizer": {"matrix_lr": 1}}).optimizer.matrix_lr
    assert rate == 1.0 and isinstance(rate, float)


def test_numbers_of_any_length_are_shown_short() -> None:
    with pytest.raises(ConfigError, match="found a number of 70001 bits; "):
        build({"training": {"steps": 1 << 70000}})
    with pytest.raises(ConfigError, match="version 1, found a number of 70001 bits; "):
        build({"schema": 1 << 70000})


def test_hostile_keys_and_values_are_shown_harmless() -> None:
    with pytest.raises(ConfigError) as caught:
        build({"mo\x1b[2Jdel\n": 1, "model": {"linear": "\x9b31m" + "a" * 999}}, where="\x1b]0;x\x07.toml")
    for problem in caught.value.problems:
        assert problem.isprintable() and len(problem) < 300


@pytest.mark.parametrize("key", ["tokens", "duration"])
def test_another_horizon_switches_the_default_steps_off(key: str) -> None:
    training = build({"training": {key: 10**6 if key == "tokens" else "8h"}}).training
    assert training.steps == 0


def test_configurations_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().model.d_model = 5  # pyright: ignore[reportAttributeAccessIssue]


def test_what_is_written_as_json_is_read_back_equal() -> None:
    config = Config.model_validate({"data": {"sources": [{"kind": "synthetic", "documents": 9}]}})
    assert changed(build(config.model_dump(mode="json")), config) == []


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("30m", 1800), ("8h", 28800), ("1h30m", 5400), ("1h1m1s", 3661)]
)
def test_durations(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "8", "h", "30m1h", "-1h", "1.5h", "8H", "8h ", "٣h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)
