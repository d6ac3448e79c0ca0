"""How a chat is set, and which models it can be with."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanoconsole.services.chat_settings import SETTINGS, ChatSettings, Layout, escaped, parse, unescaped
from nanoconsole.services.models import choices, model_of
from nanocore.errors import NanoError
from nanocore.runs.layout import RunFolder
from tests.run_helpers import make_run
from tests.tui.checkpoint_scenes import save


@pytest.mark.parametrize("text", ["", "Q: ", "a\\nb", "tab\there\n", "\\", "two  ", "\\_"])
def test_a_text_is_typed_and_read_back(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert "\n" not in escaped(text)


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [("temperature", "0.5", 0.5), ("top_k", "40", 40), ("tokens", "0", None), ("seed", "1.5", None), ("top_p", "0", None)]
    + [("temperature", word, None) for word in ("nan", "inf", "", "x", "-1", "1e9")],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_in_words(key: str, typed: str, value: float | None) -> None:
    found, fault = parse(key, typed)
    assert found == value
    assert (value is None) == ("number from" in fault)


def test_every_setting_is_one_that_the_worker_takes_and_its_default_is_allowed() -> None:
    from dataclasses import fields

    from nanocore.infer.sampler import Sampling

    taken = {each.name for each in fields(Sampling)} | {"tokens"}
    for each in SETTINGS:
        assert each.key in taken
        assert parse(each.key, f"{each.default:g}") == (each.default, "")
    Sampling(**{key: value for key, value in ChatSettings().numbers.items() if key != "tokens"})  # type: ignore[arg-type]


def test_only_settings_that_do_something_are_told() -> None:
    plain = ChatSettings({**ChatSettings().numbers, "top_k": 0})
    assert plain.words() == "temperature 0.8  seed 0  tokens 200"
    assert ChatSettings(layout=Layout("Q: ", "A:")).request()["stop"] == ["\nQ:"]


def test_a_model_is_named_by_run_step_or_path(tmp_path: Path) -> None:
    run = make_run(tmp_path, "r")
    root = run.path.parent
    assert model_of("r", root).label == "r@latest"
    assert model_of("r@best", root).step == "best"
    assert model_of(f"{run.path}@120", tmp_path).request() == {"source": str(run.path), "step": 120}
    file = tmp_path / "a@b.gguf"
    file.write_bytes(b"GGUF")
    assert (model_of(str(file), tmp_path).path, model_of(str(file), tmp_path).label) == (file, "a@b.gguf")
    for wrong in ("nothing", "r@newest", "/no/such.gguf", ""):
        with pytest.raises(NanoError):
            model_of(wrong, tmp_path)


def test_checkpoints_and_exports_can_be_chosen(tmp_path: Path) -> None:
    from nanoconsole.services.listed import Listed
    from nanocore.runs.summary import summarize

    run = make_run(tmp_path, "r")
    save(run, 10, 20)
    (run.exports_dir / "\x1bx.gguf").write_bytes(b"GGUF")
    for name, file in (("y-hf", "config.json"), ("z-other", "notes.txt")):
        (run.exports_dir / name).mkdir()
        (run.exports_dir / name / file).write_text("{}")
    found = choices([Listed(summarize(RunFolder(run.path)), run)])
    assert [each.target.rpartition("/")[2] for each in found] == ["r@latest", "r@10", "r@best", "\x1bx.gguf", "y-hf"]
    assert [(each.name, each.detail) for each in found[-2:]] == [
        ("␛x.gguf", "GGUF of r"),
        ("y-hf", "folder for transformers of r"),
    ]
