"""Reading TOML from strangers under limits, and writing it back without losing a comment."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocore.config import toml
from nanocore.config.fields import changed, fields
from nanocore.config.locate import locate, nearest_above
from nanocore.config.schema import Config
from nanocore.config.write import attributed, literal
from nanocore.errors import ConfigError


def _file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "c.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _problem(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        toml.load(path)
    assert len(caught.value.problems) == 1 and "\n" not in caught.value.problems[0]
    return str(caught.value)


def test_absent_keys_take_their_defaults(tmp_path: Path) -> None:
    config = toml.load(_file(tmp_path, "[model]\nd_model = 64\n"))
    assert changed(Config(), config) == [("model.d_model", 256, 64)]


def test_a_byte_order_mark_is_stripped(tmp_path: Path) -> None:
    assert toml.load(_file(tmp_path, b"\xef\xbb\xbf[model]\nd_model = 64\n")).model.d_model == 64


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[model]\nd_model = \n", 2, "not valid TOML"),
        ("[model]\nd_model = 1\nd_model = 2\n", 3, "not valid TOML"),
        ("x = " + "[" * 5000 + "]" * 5000, 1, "nested too deeply"),
        ("\n" + ".".join("a" * 5000) + " = 1", 2, "more than 32 parts"),
        ("[" + ".".join("a" * 5000) + "]", 1, "more than 32 parts"),
        ("x = {" + ".".join("a" * 5000) + " = 1}", 1, "more than 32 parts"),
        ("[model]\nd_model = " + "9" * 5000, 2, "a number of too many digits"),
        (b"[model]\nd_model = 1 # \xff", 2, "not UTF-8"),
        ("[model]\n\nname = \"\x1b[2J\"", 3, "not valid TOML"),
    ],
    ids=["no value", "twice", "brackets", "dots", "header dots", "inline dots", "digits", "bytes", "escape"],
)  # fmt: skip
def test_text_that_is_no_toml_names_file_and_line(tmp_path: Path, text: str | bytes, line: int, words: str) -> None:
    path = _file(tmp_path, text)
    problem = _problem(path)
    assert problem.startswith(f"{path}:{line}: ") and words in problem and "; " in problem and "\x1b" not in problem


def test_comments_may_hold_any_number_of_dots(tmp_path: Path) -> None:
    assert toml.load(_file(tmp_path, "# " + "." * 200 + "\n")) == Config()


def test_huge_missing_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    assert "larger than" in _problem(_file(tmp_path, b"#" * (toml.MAX_BYTES + 1)))
    assert "No such file" in _problem(tmp_path / "absent.toml")
    assert "Is a directory" in _problem(tmp_path)


def test_lines_are_found_through_strings_arrays_and_comments() -> None:
    text = '''# [not.a.table]
title = """
[still] = text "quoted" \\"""
x = 1
""" # end
[model]  # comment = 1
"d_model" = 64
list = [
  "a = b", # c = d
  { z = 1 },
]
other.name = 'x # y'
[[data.sources]]
kind = "files"
[[ data . sources ]]
kind = "stdlib"
'''
    tomllib.loads(text)
    lines = locate(text)
    expected = {
        "title": 2,
        "model": 6,
        "model.d_model": 7,
        "model.list": 8,
        "model.other.name": 12,
        "data.sources": 13,
        "data.sources[0]": 13,
        "data.sources[0].kind": 14,
        "data.sources[1]": 15,
        "data.sources[1].kind": 16,
    }
    assert lines == expected


def test_a_key_without_a_line_takes_the_one_above_it() -> None:
    places = {"data": "f:1", "data.sources[0]": "f:4"}
    assert nearest_above("data.sources[0].kind", places) == "f:4"
    assert nearest_above("data.sources[1].kind", places) == "f:1"
    assert nearest_above("model.d_model", places) == ""


@pytest.mark.parametrize("comments", [False, True])
def test_a_dump_holds_every_key_and_reads_back_equal(tmp_path: Path, comments: bool) -> None:
    config = Config.model_validate(
        {
            "about": {"description": 'quotes " and \\ and ü'},
            "training": {"duration": "8h"},
            "data": {"sources": [{"kind": "files", "paths": ["a/*.py"]}, {"kind": "synthetic", "weight": 0.25}]},
            "evaluation": {"sample_prompt": "def f():\n\treturn"},
        }
    )
    text = toml.dump(config, comments=comments)
    assert toml.load(_file(tmp_path, text)) == config
    table = tomllib.loads(text)
    assert table.pop("schema") == 1
    assert [f"{section}.{name}" for section, keys in table.items() for name in keys] == [f.key for f in fields()]


def test_comments_of_a_dump_are_help_and_range_above_each_key() -> None:
    lines = toml.dump(Config(), comments=True).splitlines()
    above = lines[lines.index("d_model = 256") - 1]
    assert above == "# Width of the residual stream. A whole number from 8 to 16384."
    assert all(lines[i - 1].startswith("# ") for i, line in enumerate(lines) if " = " in line and line[0] not in "#s")


def test_saving_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = _file(tmp_path, "old")
    toml.save(Config(), path)
    assert toml.load(path) == Config()
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.toml"]


def test_saving_where_nothing_can_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written: Not a directory; "):
        toml.save(Config(), _file(tmp_path, "") / "below.toml")


USER_TEXT = """\
# my preset
[model]            # widths
n_layers = 4       # fewer
d_model  = 128     # narrower

[training] # long
steps = 10
"""


def test_an_update_keeps_comments_order_and_all_other_lines() -> None:
    text = toml.update_text(USER_TEXT, {"model.d_model": 64, "optimizer.matrix_lr": 0.01, "model.qk_norm": False})
    assert "d_model  = 64     # narrower" in text
    assert [line for line in USER_TEXT.splitlines() if line and line not in text] == ["d_model  = 128     # narrower"]
    table = tomllib.loads(text)
    assert table["model"] == {"n_layers": 4, "d_model": 64, "qk_norm": False}
    assert table["optimizer"] == {"matrix_lr": 0.01}
    assert "matrix_lr = 0.01 # Peak learning rate of the matrices." in text


def test_a_copys_comments_are_told_to_be_the_originals_where_its_values_are_others() -> None:
    before = (
        "# fast\n[model]\nqk_norm = true # both\nsub_norm = true # four\nd_model = 8 # narrow\nn_layers = 2 # two\n"
    )
    changed = before.replace("sub_norm = true", "sub_norm = false").replace("8 # narrow", "9 # wide")
    text = attributed(changed.replace("n_layers = 2", "n_layers = 3"), before, "base")
    assert text.splitlines() == [
        "# Made from base with changes. What base says of itself:",
        "# fast",
        "[model]",
        "qk_norm = true # both",
        "sub_norm = false # was true: four",
        "d_model = 9 # wide",
        "n_layers = 3 # was 2: two",
    ]
    again = attributed(text.replace("n_layers = 3", "n_layers = 4"), text, "copy")
    assert again.splitlines()[-1] == "n_layers = 4 # was 2: two"


@pytest.mark.parametrize(
    "text",
    ["model.d_model = 8\n", "model = { d_model = 8 }\n", "[model]\n[data]\n[[data.sources]]\nkind = 'stdlib'\n", ""],
)
def test_an_update_of_any_style_sets_exactly_the_given_keys(text: str) -> None:
    before = tomllib.loads(text)
    after = tomllib.loads(toml.update_text(text, {"model.d_model": 64, "data.prefetch": 2}))
    assert after == {
        **before,
        "model": {**before.get("model", {}), "d_model": 64},
        "data": {**before.get("data", {}), "prefetch": 2},
    }


def test_an_update_of_sources_is_read_back_equal() -> None:
    config = Config.model_validate({"data": {"sources": [{"kind": "jsonl", "paths": ["x"], "column": "code"}]}})
    text = toml.update_text("[data]\nworkers = 2 # two\n", {"data.sources": config.data.sources})
    assert tomllib.loads(text)["data"]["sources"] == [
        {"kind": "jsonl", "paths": ["x"], "column": "code", "weight": 1.0}
    ]


@given(
    st.recursive(
        st.booleans()
        | st.integers(-(2**62), 2**62)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f")),
        st.lists,
        max_leaves=5,
    )
)
def test_a_literal_is_the_toml_of_its_value(value: object) -> None:
    assert tomllib.loads(f"x = {literal(value)}")["x"] == value


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="is not a regular file"):
        toml.read_text(pipe)


def test_a_device_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a regular file"):
        toml.read_text(Path("/dev/zero"))
