"""Heavy verbs run in a worker: its answers, its errors, its death, and that it never outlives the console."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nanoconsole.services.workers import Worker
from nanocore.runs.identity import Identity
from nanocore.runs.layout import cache_root
from nanocore.runs.liveness import acquire
from tests import command_line
from tests.command_line import Nano
from tests.run_helpers import make_run, wait_for
from tests.tiny import new_run, tiny_config

nano = command_line.nano
SYNTHETIC = """
[model]
context_length = 32
[evaluation]
tokens = 256
[[data.sources]]
kind = "synthetic"
documents = 40
"""


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCONSOLE_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
def test_data_prepare_and_inspect_tell_what_would_be_trained_on(nano: Nano, tmp_path: Path) -> None:
    file = tmp_path / "synthetic.toml"
    file.write_text(SYNTHETIC)
    prepared = nano("data", "prepare", str(file), "--json")
    assert prepared.code == 0, prepared.err
    assert prepared.data["documents"] == 40
    assert prepared.data["train_documents"] + prepared.data["validation_documents"] == 40
    assert any(cache_root().iterdir())
    inspected = nano("data", "inspect", str(file), "--json").data
    assert inspected["hash"] == prepared.data["hash"]
    assert 0 < inspected["xz_bits_per_byte"] < 8
    assert 0 < len(inspected["row"]) <= 32


def test_generate_from_a_run_without_a_checkpoint_says_so_with_exit_code_5(nano: Nano, tmp_path: Path) -> None:
    run = make_run(tmp_path, "young")
    lock = acquire(run)
    assert "nanoconsole checkpoint young" in nano("generate", "young", "--prompt", "a").err
    lock.release()
    result = nano("generate", "young", "--prompt", "a")
    assert (result.code, result.out) == (5, "")
    assert "young: has no checkpoint" in result.err
    assert "nanoconsole resume young" in result.err


def test_generate_writes_text_from_a_checkpoint(nano: Nano) -> None:
    from nanocore.checkpoint.state import save_checkpoint
    from nanocore.data.tokenizer import ByteTokenizer
    from nanocore.model.transformer import Transformer

    config, tokenizer = tiny_config(), ByteTokenizer()
    model = Transformer(config, tokenizer.vocab_size)
    model.initialise(1)
    run = new_run(nano.root, name="small")
    parts = {"model": model.state_dict(), "optimizer": {}, "state": {"config": config.model_dump()}}
    save_checkpoint(run, 3, **parts, tokenizer_json=tokenizer.to_json())
    result = nano("generate", "small", "--prompt", "def ", "--tokens", "12", "--seed", "5", "--json")
    assert result.code == 0, result.err
    done = result.lines[-1]
    assert (done["kind"], done["checkpoint"]) == ("done", "step-00000003")
    assert done["text"] == "".join(line["text"] for line in result.lines[:-1])
    assert 0 < len(done["text"].encode()) <= 12 * 3  # one byte a token; U+FFFD for one that is no character


@pytest.mark.parametrize("request_line", [b"not json\n", b'["generate"]\n', b'{"verb": "rm"}\n', b""])
def test_a_worker_answers_a_bad_request_with_an_error(request_line: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nanocore.worker"], input=request_line, capture_output=True, check=False
    )
    assert done.returncode == 2
    answer = json.loads(done.stdout)
    assert (answer["kind"], answer["type"]) == ("error", "UsageError")
    assert done.stderr == b""


SLOW = {  # a request that keeps a worker busy for minutes
    "verb": "data-prepare",
    "config": {"data": {"sources": [{"kind": "synthetic", "documents": 10_000_000}]}},
}


def test_a_cancelled_worker_ends_without_an_answer() -> None:
    worker = Worker(SLOW)
    identity = Identity.of(worker.pid)
    worker.cancel()
    assert list(worker) == []
    assert identity is not None
    assert not identity.lives()


def test_the_death_of_a_worker_is_an_answer() -> None:
    worker = Worker(SLOW)
    os.kill(worker.pid, signal.SIGKILL)
    (answer,) = list(worker)
    assert (answer["kind"], answer["type"], answer["exit_code"]) == ("error", "ResourceError", 6)
    assert "SIGKILL" in answer["message"]


def test_a_worker_dies_with_a_console_that_is_killed() -> None:
    console = textwrap.dedent(f"""
        from nanoconsole.services.workers import Worker
        worker = Worker({SLOW!r})
        print(worker.pid, flush=True)
        list(worker)
    """)
    process = subprocess.Popen([sys.executable, "-c", console], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    identity = Identity.of(int(process.stdout.readline()))
    assert identity is not None
    process.kill()
    process.wait()
    process.stdout.close()
    wait_for(lambda: not identity.lives(), "the worker's end")
