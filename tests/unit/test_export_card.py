"""The card of a Hugging Face folder: its header survives any text, its figures are true, its snippet runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocore.data.tokenizer import ByteTokenizer
from nanocore.export.hugging_face import export_hf
from nanocore.export.model_card import model_card
from nanocore.export.report import Facts, run_facts
from nanocore.runs.records import RecordWriter
from nanocore.runs.text import sanitize_line
from tests.exports import exported_model
from tests.saved import saved_run
from tests.tiny import tiny_config

HOSTILE = 'a: "b"\n---\n- c\u2028{d}: [e] # \\ \' %TAG !f &g *h \ufffe\uffff\x1b]0;x\x07'


def card(facts: Facts, form: str = "plain") -> str:
    return model_card(tiny_config(), facts, "Qwen3ForCausalLM", form, None, ())


def header(text: str) -> dict[str, Any]:
    """The front matter by a reading stricter than YAML: a key and a JSON text or a bare word on each line."""
    lines = text.split("\n")
    found: dict[str, Any] = {}
    for line in lines[1 : lines.index("---", 1)]:
        if not re.fullmatch(r"- [a-z]+|tags:", line):
            key, value = re.fullmatch(r"([a-z_]+): (.+)", line).groups()  # type: ignore[union-attr]
            found[key] = json.loads(value) if value.startswith('"') else value
    return found


@given(name=st.text(), license=st.text(min_size=1), description=st.text())
def test_the_header_survives_any_text(name: str, license: str, description: str) -> None:
    for texts in ((name, license, description), (HOSTILE, HOSTILE, HOSTILE)):
        text = card(Facts(*texts))
        found = header(text)
        assert found.keys() - {"license_name"} == {"license", "library_name", "pipeline_tag"}
        stated = found.get("license_name", found["license"])
        assert stated in (sanitize_line(texts[1]), texts[1].lower())
        assert len(text.split("\n")) == len(card(Facts("x", texts[1])).split("\n"))


def test_a_yaml_reader_agrees() -> None:
    yaml = pytest.importorskip("yaml", reason="not run: no yaml")
    for license in (HOSTILE, "no", "1.0", "null", "{}", "MIT", "apache-2.0", "ünï: 💡"):
        text = card(Facts("x", license))
        found = yaml.safe_load(text.split("---\n")[1]) if license != HOSTILE else next(yaml.safe_load_all(text[4:]))
        assert found.get("license_name", found["license"]) in (sanitize_line(license), license.lower())
        assert found["tags"] == ["nanoconsole", "ternary", "bitnet"]


def test_a_licence_that_the_hub_does_not_know_by_id_is_named() -> None:
    assert header(card(Facts("x", "MIT")))["license"] == "mit"
    assert "license_name" not in header(card(Facts("x", "mit")))
    found = header(card(Facts("x", "Ours: ask first")))
    assert (found["license"], found["license_name"]) == ("other", "Ours: ask first")


def test_prose_from_outside_begins_no_block_and_no_tag() -> None:
    text = card(Facts("```", "mit", "<script> [a](b) | `c`", {"run": "a|b"}))
    assert "# \\`\\`\\`\n" in text and "\\<script\\> \\[a\\](b) \\| \\`c\\`\n" in text and "| run | a\\|b |" in text
    assert text.count("```") == 2


@pytest.mark.parametrize("form", ["plain", "bitnet"])
def test_the_snippet_runs_as_it_stands(form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for transformers; the real one runs it among the oracles."""
    model, loaded = exported_model(), []

    def pretrained(folder: str) -> Any:
        loaded.append((Path(folder) / "config.json").is_file())
        return tool

    class Tool(SimpleNamespace):
        def __call__(self, text: str, return_tensors: str) -> dict[str, Any]:
            return {"input_ids": [[1, 2]]}

    tool = Tool(generate=lambda input_ids, max_new_tokens: input_ids, decode=lambda ids: f"text of {ids}")
    auto = SimpleNamespace(from_pretrained=pretrained)
    fake = SimpleNamespace(AutoModelForCausalLM=auto, AutoTokenizer=auto)
    monkeypatch.setitem(sys.modules, "transformers", fake)  # type: ignore[arg-type]
    export_hf(model, ByteTokenizer(), model.config, tmp_path / "hf", form=form)
    text = (tmp_path / "hf" / "README.md").read_text()
    monkeypatch.chdir(tmp_path / "hf")
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102
    assert loaded == [True, True]
    assert ("accelerate" in text) == (form == "bitnet")


def test_figures_are_those_of_the_step_that_is_exported(tmp_path: Path) -> None:
    run = saved_run(tmp_path, steps=(4, 8))
    writer = RecordWriter(run.metrics_file)
    for step, loss in ((4, 2.0), (8, 1.0)):
        stamp = {"step": step, "attempt": 1, "time": 0.0}
        writer.write({**stamp, "tokens": 10 * step, "loss/ce": loss})
        if step == 4:
            writer.write({**stamp, "eval/ce": loss + 0.5, "eval/bits_per_byte": 3.0})
    writer.close()
    early, late = run_facts(run, 4).figures, run_facts(run, 8).figures
    assert (early["tokens"], early["loss"], early["held_out_loss"], early["bits_per_byte"]) == (40, 2.0, 2.5, 3.0)
    assert (late["tokens"], late["loss"]) == (80, 1.0)
    assert "bits_per_byte" not in late and "held_out_loss" not in late  # not measured there
    assert "loss" not in run_facts(run, 6).figures
