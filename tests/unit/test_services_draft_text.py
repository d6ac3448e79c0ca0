"""A draft edited as text and as a form: both say the same, comments stay, faults have their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services import saving
from nanoconsole.services.draft import Draft
from nanoconsole.services.draft_changes import changes
from nanoconsole.services.source import LIMIT, read_by_hand
from nanocore.config import toml
from nanocore.config.idle import default
from nanocore.config.presets import find
from nanocore.config.resolve import resolve
from nanocore.errors import ConfigError, UsageError
from tests.run_helpers import make_run

TEXT = "# mine\n[model]\nd_model = 64 # narrow\nd_ff = 128\n\n[training]\nsteps = 10\n"


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    file = tmp_path / "own.toml"
    file.write_text(TEXT)
    return Draft(str(file))


def typed(draft: Draft, old: str, new: str) -> Draft:
    """The draft after a part of its text was typed over."""
    before = draft.toml()
    assert old in before
    draft.take(read_by_hand(before.replace(old, new)))
    return draft


def test_an_edit_in_the_form_changes_exactly_its_line(draft: Draft) -> None:
    draft.set("model.d_model", "32")
    assert draft.toml() == TEXT.replace("d_model = 64 #", "d_model = 32 #")
    draft.set("training.seed", "7")
    added = [line for line in draft.toml().splitlines() if line not in TEXT.splitlines()]
    assert [line.partition(" #")[0] for line in added] == ["d_model = 32", "seed = 7"]
    draft.reset("model.d_model")
    draft.reset("training.seed")
    assert draft.toml() == TEXT and not draft.is_changed


def test_an_edit_of_the_text_reaches_the_form_and_later_edits_lie_over_it(draft: Draft) -> None:
    typed(draft, "d_ff = 128", "d_ff = 256 # wider\nn_layers = 3")
    assert (draft.text("model.d_ff"), draft.text("model.n_layers")) == ("256", "3")
    assert draft.is_changed and {change.key for change in changes(draft)} == {"model.d_ff", "model.n_layers"}
    draft.set("model.n_layers", "5")
    assert "d_ff = 256 # wider\nn_layers = 5\n" in draft.toml()
    typed(draft, "n_layers = 5", "n_layers = 6")
    assert draft.text("model.n_layers") == "6"  # what is typed last counts
    draft.reset("model.d_ff")
    assert draft.text("model.d_ff") == "128" and "d_ff = 128 # wider" in draft.toml()
    draft.forget()
    assert draft.toml() == TEXT and draft.config == draft.base


def test_a_key_that_is_deleted_has_its_default(draft: Draft) -> None:
    typed(draft, "d_ff = 128\n", "")
    assert draft.text("model.d_ff") == str(default("model.d_ff"))
    draft.set("training.steps", "11")
    assert "d_ff" not in draft.toml()


def test_each_fault_of_the_text_has_its_line_and_stands_at_its_field(draft: Draft) -> None:
    typed(draft, "d_ff = 128", 'd_ff = "wide"\nd_modle = 3')
    told = [(fault.line, fault.words.partition(":")[0]) for fault in draft.faults(draft.toml())]
    assert told == [(4, "model.d_ff"), (5, "model.d_modle")]
    assert "model.d_ff" in draft.problems and "did you mean model.d_model?" in draft.others[0]
    assert draft.config is None


def test_text_that_is_no_toml_keeps_the_form_as_it_was_until_it_is(draft: Draft) -> None:
    typed(draft, "d_ff = 128", "d_ff = ")
    assert draft.config is None and draft.text("model.d_ff") == "128"
    assert [fault.line for fault in draft.faults(draft.toml())] == [4]
    draft.set("model.d_ff", "512")  # there is no line to put it into
    assert draft.text("model.d_ff") == "128"
    draft.take(read_by_hand(TEXT.replace("128", "256")))
    assert draft.config is not None and draft.text("model.d_ff") == "256"


def test_refused_values_of_the_form_are_written_as_what_they_are(draft: Draft) -> None:
    for text in ("x", "2020-01-01", "nan", "[1, 2020-01-01]", "9" * 5000, ""):
        draft.set("model.n_layers", text)
        written = draft.toml()
        draft_again = read_by_hand(written)
        assert draft_again.source is not None and draft.config is None
        assert [fault.line for fault in draft.faults(written)] == [5]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = " + "[" * 5000 + "]" * 5000, 1),
        ("x = " + "[" * 40 + "]" * 40, 1),
        ("a." * 500 + "b = 1", 1),
        ("[model]\nd_ff = " + "9" * 20_000, 2),
        ("[model]\nd_ff = 1 # \x1b[2J", 2),
        ("[model\n", 1),
        ("x = 1\n" * (LIMIT // 6 + 1), 1),
    ],
    ids=["deep", "rather deep", "dotted", "digits", "control", "open", "huge"],
)
def test_a_hostile_text_is_one_fault_at_its_line(text: str, line: int) -> None:
    reading = read_by_hand(text)
    assert reading.source is None and reading.fault is not None
    assert reading.fault.line == line and "\x1b" not in str(reading.fault) and len(str(reading.fault)) < 500


def test_hostile_values_are_faults_of_their_keys_and_safe(draft: Draft) -> None:
    hostile = (
        '[model]\nd_model = "\\u001b[2J"\n"\\u001b]0;x" = 1\nmoe = { a = [[1]] }\n[[data.sources]]\nkind = "\\u202e"\n'
    )
    draft.take(read_by_hand(hostile))
    told = "".join(map(str, draft.faults(hostile))) + "".join(draft.others) + str(draft.problems)
    assert draft.config is None and not any(bad in told for bad in "\x1b\u202e")


def test_a_text_of_inline_tables_is_edited_or_refused_but_never_spoilt(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("model = { d_model = 64 }\n")
    draft = Draft(str(file))
    draft.set("model.d_model", "128")
    try:
        assert toml.parse(draft.toml()) == {"model": {"d_model": 128}}
    except ConfigError as error:
        assert "in place" in str(error)
    assert file.read_text() == "model = { d_model = 64 }\n"


def test_a_runs_own_configuration_is_a_record(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    before = run.config_file.read_text()
    draft = Draft(str(run.config_file))
    assert (draft.run, draft.is_file, draft.name, draft.noun) == (run, False, "probe", "the run")
    draft.set("mhc.streams", "2")
    assert saving.proposal(draft) == ("my-probe", "probe with mhc.streams = 2")
    path = saving.save_as(draft, "from-a-run", "of a run")
    assert run.config_file.read_text() == before
    assert toml.parse(path.read_text()) == {"about": {"description": "of a run"}, "mhc": {"streams": 2}}


def test_saving_keeps_what_was_typed(draft: Draft, tmp_path: Path) -> None:
    typed(draft, "# mine", "# ours")
    draft.set("model.d_ff", "192")
    path = saving.save_as(draft, "mine", "as typed")
    assert path == find("mine").path and path.read_text().splitlines()[1] == "# ours"
    assert toml.load(path).model.d_ff == 192 and find("mine").description == "as typed"
    file = tmp_path / "new.toml"
    assert saving.save_as(draft, str(file)) == file and toml.load(file).model.d_ff == 192
    for name, words in ((str(file), "this file exists"), ("Not a name", "use 1 to 64")):
        with pytest.raises(UsageError, match=words):
            saving.save_as(draft, name)
    draft.set("model.d_ff", "x")
    with pytest.raises(ConfigError, match=r"model\.d_ff"):
        saving.save_as(draft, "other")


@pytest.mark.parametrize("place", ["short", "short.toml"])
def test_what_a_preset_says_of_itself_is_not_said_of_a_changed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    draft = Draft("tiny-cpu")
    assert draft.text("about.expects")
    draft.set("training.steps", "5")
    draft.set("model.tie_embeddings", "false")
    saved = saving.save_as(draft, place)
    about, lines = toml.load(saved).about, saved.read_text().splitlines()
    assert about.expects == "" and "five minutes" not in about.description
    assert lines[0] == "# Made from tiny-cpu with changes. What tiny-cpu says of itself:"
    assert "steps = 5          # was 700: 1.43M tokens" in lines
    assert "batch_size = 8       # 2048 tokens a step" in lines


def test_an_unchanged_copy_keeps_all_that_its_preset_says(draft: Draft, tmp_path: Path) -> None:
    copied = saving.save_as(draft, str(tmp_path / "copy.toml"))
    assert copied.read_text() == draft.path.read_text()


def test_comments_of_an_own_preset_stay_when_it_is_saved_again(tmp_path: Path) -> None:
    draft = Draft("tiny-cpu")
    draft.set("training.steps", "5")
    own = Draft(str(saving.save_as(draft, "mine")))
    own.set("training.steps", "6")
    own.set("training.batch_size", "4")
    text = saving.save_as(own, "mine", "again").read_text()
    assert text.count("Made from") == 1
    assert "steps = 6          # was 700: 1.43M tokens" in text and "batch_size = 4       # 2048 tokens" in text


def test_differences_to_another_configuration(draft: Draft) -> None:
    other = resolve(str(draft.path), ["training.seed=3", "model.d_ff=256"])
    draft.set("model.d_ff", "256")
    assert [(c.key, c.before, c.after) for c in changes(draft, other)] == [
        ("training.seed", "3", draft.text("training.seed"))
    ]
    draft.set("model.d_ff", "x")
    assert {c.key for c in changes(draft, other)} == {"training.seed", "model.d_ff"}
