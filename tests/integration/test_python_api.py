"""`import nanocore` for Python users: the documentation runs as written, imports stay light, errors are one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import nanocore
from nanocore.errors import CheckpointError, NanoError, UsageError
from tests.saved import saved_run

GUIDE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.mark.slow
def test_the_guide_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fenced block, one after another in one namespace."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    space: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), space)  # noqa: S102
    assert space["run"].state == "finished"  # type: ignore[attr-defined]
    assert [step for step, _ in space["losses"]] == [1, 2, 3, 4]  # type: ignore[attr-defined]
    assert space["other"].state == "stopped"  # type: ignore[attr-defined]
    assert len(space["texts"]) == 2  # type: ignore[arg-type]
    assert len(space["again"].tokens) == 8 and (tmp_path / "first.gguf").is_file()  # type: ignore[attr-defined]


def test_importing_nanocore_imports_no_torch_and_calls_survive_submodules() -> None:
    program = (
        "import sys, nanocore; print('torch' in sys.modules, 'load' in dir(nanocore), callable(nanocore.train));"
        "import nanocore.train.horizon; print(callable(nanocore.train), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "True", "False"]


def test_a_loaded_model_generates_as_its_settings_say(tmp_path: Path) -> None:
    run = saved_run(tmp_path, "mtp.horizon=2", steps=(3, 5))
    model = nanocore.load(run.path, 3, backend="torch", threads=1)
    assert model.backend == "torch (asked for)"
    one = model.generate("def", tokens=12, seed=4, logprobs=True)
    assert one.tokens == model.generate("def", tokens=12, seed=4).tokens
    assert one.tokens != nanocore.load(run.path, backend="torch", threads=1).generate("def", tokens=12, seed=4).tokens
    assert len(one.logprobs) == len(one.tokens)
    assert "".join(model.generate("def", tokens=12, seed=4, stream=True)) == one.text
    drafted = model.generate("def", tokens=12, temperature=0, speculate=True)
    assert drafted.speculation is not None and drafted.speculation.drafted > 0
    assert model.logits("ab").shape == (3, 257)
    for tokens in ((256, *b"ab"), torch.tensor([256, *b"ab"]), np.array([256, *b"ab"])):
        assert torch.equal(model.logits(tokens), model.logits("ab"))


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    run = saved_run(tmp_path)
    model = nanocore.load(run.path, backend="torch", threads=1)
    mistakes: list[tuple[type[NanoError], object]] = [
        (UsageError, lambda: model.generate("a", temprature=1)),  # type: ignore[call-overload]
        (UsageError, lambda: model.generate("a", top_p=2)),
        (UsageError, lambda: model.generate("a", speculate=True)),
        (UsageError, lambda: model.generate("a", tokens="a")),  # type: ignore[call-overload]
        (UsageError, lambda: model.generate("a", tokens=-5)),
        (UsageError, lambda: model.generate("a", temperature="x")),  # type: ignore[call-overload]
        (UsageError, lambda: model.generate("a", stop=[1])),  # type: ignore[call-overload]
        (UsageError, lambda: model.generate("a", stop=5)),  # type: ignore[call-overload]
        (UsageError, lambda: model.generate("a", tokens=1.5)),  # type: ignore[call-overload]
        (UsageError, lambda: model.generate(5)),  # type: ignore[call-overload]
        (UsageError, lambda: model.generate(["a", 5])),  # type: ignore[call-overload]
        (UsageError, lambda: model.generate("a\ud800b")),
        (UsageError, lambda: model.logits(5)),  # type: ignore[arg-type]
        (UsageError, lambda: model.logits([0.5])),  # type: ignore[arg-type]
        (UsageError, lambda: model.logits(torch.tensor(5))),
        (UsageError, lambda: model.logits(torch.tensor([[5]]))),
        (UsageError, lambda: model.logits(torch.tensor([0.5]))),
        (UsageError, lambda: nanocore.load(None)),  # type: ignore[arg-type]
        (UsageError, lambda: nanocore.load(run.path, "bogus")),  # type: ignore[arg-type]
        (UsageError, lambda: nanocore.load(run.path, backend="zz")),  # type: ignore[arg-type]
        (UsageError, lambda: nanocore.export(run.path, "zz")),  # type: ignore[arg-type]
        (UsageError, lambda: nanocore.export(run.path, scheme="zz")),  # type: ignore[arg-type]
        (UsageError, lambda: nanocore.export(run.path, "hf", scheme="tq1_0")),
        (UsageError, lambda: nanocore.load(run.path, threads=100_000)),
        (UsageError, lambda: model.logits("x" * 100)),
        (CheckpointError, lambda: nanocore.load(run.path, 9)),
        (UsageError, lambda: nanocore.load(tmp_path / "nothing")),
        (UsageError, lambda: nanocore.train("no-such-preset", runs=tmp_path)),
        (UsageError, lambda: nanocore.export(tmp_path)),
    ]
    for kind, mistake in mistakes:
        with pytest.raises(kind) as caught:
            mistake()  # type: ignore[operator]
        assert "\n" not in str(caught.value)
    with pytest.raises(AttributeError):
        nanocore.no_such_thing  # noqa: B018


def test_an_export_replaces_only_when_told(tmp_path: Path) -> None:
    run = saved_run(tmp_path)
    report = nanocore.export(run.path, output=tmp_path / "m.gguf")
    before = report.path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        nanocore.export(run.path, output=tmp_path / "m.gguf")
    assert report.path.read_bytes() == before
    assert nanocore.export(run.path, output=tmp_path / "m.gguf", scheme="tq1_0", force=True).bytes > 0
