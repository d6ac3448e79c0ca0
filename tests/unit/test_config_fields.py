"""The flat list of fields, and the reference that is written from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.config.document import document
from nanocore.config.fields import Field, changed, fields, get, source_fields
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.errors import ConfigError

FIELDS = {field.key: field for field in fields()}


def test_there_is_a_field_for_every_key_in_the_order_of_the_file() -> None:
    table = Config().model_dump()
    assert list(FIELDS) == [f"{section}.{name}" for section, keys in table.items() for name in keys]


def test_every_field_explains_itself() -> None:
    for field in (*fields(), *source_fields()):
        assert (field.help.endswith(".") and field.help[0].isupper()) or field.pattern, field
        assert f"{field.section}.{field.name}" == field.key
        if field in fields():
            assert get(Config(), field.key) == field.default


def test_kinds_choices_and_ranges_are_those_of_the_schema() -> None:
    width, streams, momentum = FIELDS["model.d_model"], FIELDS["mhc.streams"], FIELDS["optimizer.momentum"]
    assert (width.kind, width.minimum, width.maximum, width.range) == ("int", 8, 16384, "from 8 to 16384")
    assert (streams.kind, streams.choices) == ("choice", (1, 2, 4))
    assert (momentum.kind, momentum.range) == ("float", "from 0 to below 1")
    assert FIELDS["model.qk_norm"].kind == "bool"
    assert FIELDS["data.sources"].kind == "list"
    assert FIELDS["checkpoint.keep_last"].range == "of at least 1"


def _beyond(field: Field) -> list[float]:
    """The nearest values below and above what a field allows."""
    low = [] if field.minimum is None else [field.minimum if field.open_minimum else field.minimum - 1]
    return low + ([] if field.maximum is None else [field.maximum if field.open_maximum else field.maximum + 1])


def test_the_limits_of_a_field_are_those_that_hold() -> None:
    for field in fields():
        for value in _beyond(field) if field.kind in ("int", "float") else ():
            with pytest.raises(ConfigError) as caught:
                build({field.section: {field.name: int(value) if field.kind == "int" else value}})
            assert caught.value.problems[0].startswith(f"{field.key}: must be "), field


def test_differences_leave_out_what_training_never_reads() -> None:
    other = build({"about": {"description": "x"}, "mhc": {"streams": 2}, "data": {"sources": [{"weight": 2.0}]}})
    assert [key for key, _, _ in changed(Config(), other)] == ["mhc.streams", "data.sources"]
    assert changed(other, other) == []


def test_the_written_reference_is_current() -> None:
    path = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert path.read_text() == document(), "python -m nanocore.config.document > docs/configuration.md"


def test_reading_configurations_loads_neither_torch_nor_a_toml_writer() -> None:
    code = """
import sys
from nanocore.config import continuation, document, estimate, fields, legacy, presets, resolve, toml
toml.dump(resolve.resolve("tiny-cpu"), comments=True)
estimate.estimate(resolve.resolve("nano-125m"))
presets.presets()
print([name for name in ("torch", "numpy", "tomlkit", "textual", "rich", "tokenizers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
