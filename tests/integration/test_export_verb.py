"""`export` writes files that `generate` and `inspect` read; refusals are one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nanocore.export.mhc_file import read_mhc
from nanocore.infer.contents import contents
from nanocore.infer.locate import locate
from nanocore.infer.open import open_engine
from nanocore.infer.request import Request
from nanocore.infer.sampler import Sampling
from tests import command_line
from tests.command_line import Nano
from tests.saved import saved_run, write_losses

nano = command_line.nano
STEPS = {4: 1.0, 8: 2.0}


@pytest.fixture(autouse=True)
def torch_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOKERNELS_NATIVE", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
def test_a_run_becomes_a_gguf_file_that_writes_the_same_text(nano: Nano) -> None:
    run = saved_run(nano.root, "mhc.streams=1", steps=tuple(STEPS))
    write_losses(run, STEPS)
    written = nano("export", "saved", "--step", "best", "--head", "f32", "--license", "mit", "--json")
    assert written.code == 0, written.err
    report = written.data
    path = Path(report["path"])
    assert path.is_file() and path.parent == run.exports_dir and "00000004" in path.name
    assert (report["architecture"], report["bytes"]) == ("qwen3", path.stat().st_size)

    wish = ("--prompt", "def ", "--tokens", "16", "--temperature", "0", "--json")
    done = nano("generate", str(path), *wish).lines[-1]
    latent = locate(run.path, 4)
    engine = open_engine(latent, backend="torch", threads=1).engine
    assert done["text"] == engine.generate("def ", Request(16, Sampling(temperature=0.0))).finished().text
    assert "NANOKERNELS_NATIVE" in done["reason"]

    found, before = contents(locate(path)).table(), contents(latent).table()["totals"]
    assert (found["kind"], found["architecture"], found["facts"]["general.license"]) == ("gguf", "qwen3", "mit")
    assert found["totals"]["ternary_parameters"] == before["ternary_parameters"] > 0
    assert found["totals"]["zero_fraction"] == pytest.approx(before["zero_fraction"], abs=1e-12)

    again = nano("export", "saved", "--step", "best")
    assert (again.code, len(again.err.splitlines())) == (2, 1)
    assert "exists already" in again.err


@pytest.mark.slow
def test_a_run_becomes_a_hugging_face_folder_that_writes_the_same_text(nano: Nano, tmp_path: Path) -> None:
    run = saved_run(nano.root, "mhc.streams=1")
    done = nano("export", "saved", "--to", "hf", "--output", str(tmp_path / "folder"))
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "folder" / "config.json").read_text())["model_type"] == "qwen3"
    assert done.out == f"{tmp_path / 'folder'}\n"
    assert done.err.startswith("Qwen3ForCausalLM, ") and "not " not in done.err.splitlines()[0]
    wish = ("--prompt", "def ", "--tokens", "8", "--temperature", "0", "--json")
    text = nano("generate", str(tmp_path / "folder"), *wish).lines[-1]["text"]
    engine = open_engine(locate(run.path), backend="torch", threads=1).engine
    assert text == engine.generate("def ", Request(8, Sampling(temperature=0.0))).finished().text


@pytest.mark.slow
def test_static_stream_maps_become_a_mhc_file_that_inspect_reads(nano: Nano) -> None:
    run = saved_run(nano.root, "mhc.streams=2")
    report = nano("export", "saved", "--to", "mhc", "--json").data
    path = Path(report["path"])
    assert path.parent == run.exports_dir and path.suffix == ".mhc" and report["bytes"] == path.stat().st_size
    found = nano("inspect", str(path), "--json").data
    maps = read_mhc(path)
    assert (found["kind"], found["facts"]["streams"], found["facts"]["sub_layers"]) == ("mhc", 2, len(maps))
    assert found["totals"]["tensors"] == report["types"]["F32"] == 3 * len(maps)
    assert found["tensors"][3] == found["tensors"][0] | {"name": "blocks.0.feed_forward.res"}
    assert "exists already" in nano("export", "saved", "--to", "mhc").err
    path.write_bytes(path.read_bytes()[:-1])
    cut = nano("inspect", str(path))
    assert (cut.code, cut.out, len(cut.err.splitlines())) == (2, "", 1) and "was altered" in cut.err
    assert "only a run has steps" in nano("inspect", str(path), "--step", "3").err


@pytest.mark.slow
def test_inspect_reads_safetensors_strictly(nano: Nano, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"b": torch.ones(3, 4, dtype=torch.float16), "a": torch.zeros(2)}, path)
    found = nano("inspect", str(path), "--json").data
    listed = [(each["name"], each["type"], each["shape"], each["bytes"]) for each in found["tensors"]]
    assert listed == [("a", "float32", [2], 8), ("b", "float16", [3, 4], 24)]
    path.write_bytes(path.read_bytes()[:-1])
    cut = nano("inspect", str(path))
    assert (cut.code, cut.out, len(cut.err.splitlines())) == (2, "", 1) and "no sound safetensors file" in cut.err


@pytest.mark.slow
def test_what_cannot_be_exported_is_refused_in_one_line(nano: Nano) -> None:
    saved_run(nano.root)  # two residual streams
    saved_run(nano.root, "mhc.streams=1", name="one-stream")
    alone = nano("export", "one-stream", "--to", "mhc")
    assert (alone.code, alone.out) == (2, "") and "no .mhc file can hold" in alone.err and alone.err.count("\n") == 1
    assert "use --to gguf" in alone.err
    for options, words in (
        (("--architecture", "stock"), "one residual stream"),
        (("--to", "hf", "--scheme", "tq1_0"), "--scheme: means nothing for --to hf"),
        (("--step", "soon"), "neither a step"),
        (("--form", "bitnet"), "--form: means nothing for --to gguf"),
        (("--to", "mhc", "--license", "mit"), "--license: means nothing for --to mhc"),
    ):
        result = nano("export", "saved", *options)
        assert result.code == 2 and result.out == "", result
        assert words in result.err and len(result.err.splitlines()) == 1, result.err
