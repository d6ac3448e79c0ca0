"""Start-up stays light: no torch and no tensorboard in the console, no Textual in its headless verbs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nanocore.config.schema import Config
from nanocore.runs.create import create_run

HEAVY = ("torch", "tensorboard", "textual", "plotext", "tokenizers", "pyarrow", "safetensors", "tomlkit")
# Verbs that answer from small files alone; they run one after another in one process.
LIGHT = [
    ["--help"],
    ["--version"],
    ["train", "--help"],
    ["presets", "list"],
    ["presets", "show", "tiny-cpu", "--full"],
    ["config", "show", "tiny-cpu"],
    ["config", "check", "RUN/config.toml"],
    ["config", "diff", "tiny-cpu", "d20"],
    ["config", "show", "a-run"],
    ["runs", "list"],
    ["runs", "list", "--json"],
    ["runs", "list", "--filter", "lr>1e-4 has:eval/ce", "--sort", "bpb"],
    ["runs", "compare", "a-run", "no-such-run"],
    ["runs", "show", "a-run"],
    ["runs", "verify", "a-run"],
    ["runs", "repair", "a-run"],
    ["runs", "export", "a-run", "RUN/../no-such-folder/a.tar"],
    ["runs", "import", "RUN/run.json"],
    ["layers", "a-run"],
    ["stop", "a-run"],
    ["resume", "no-such-run"],
    ["watch", "no-such-run"],
    ["tensorboard", "no-such-run"],
    ["generate", "no-such-run", "--prompt", "a"],
    ["chat", "no-such-run"],
    ["export", "no-such-run"],
    ["inspect", "no-such-run", "--step", "best"],
    ["checkpoints", "a-run"],
    ["validate", "--only", "no-such-check"],
    ["report", "no-such-run"],
    ["queue", "list"],
    ["queue", "cancel", "a-run"],
    ["compare", "RUN/no-such-file.toml"],
    ["bench", "e3", "--quick", "--only", "mtp", "--report-only"],
    ["bench", "compare", "RUN/a.json", "RUN/b.json"],
]
PROGRAM = """
import contextlib, io, json, sys
verbs, heavy = json.loads(sys.argv[1])
from nanoconsole.cli.main import run
found = {}
for verb in verbs:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run(verb)
    for name in heavy:
        if name in sys.modules:
            found.setdefault(name, " ".join(verb))
print(json.dumps(found))
"""


def test_no_light_verb_loads_a_heavy_module(tmp_path: Path) -> None:
    run = create_run(tmp_path, Config(), name="a-run")
    verbs = [["--runs", str(tmp_path), *(word.replace("RUN", str(run.path)) for word in verb)] for verb in LIGHT]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([verbs, HEAVY])], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {}


@pytest.mark.parametrize(
    "module",
    [
        "nanoconsole.services.launcher, nanoconsole.services.workers, nanoconsole.services.tensorboard",
        "nanocore, nanocore.errors, nanocore.config.estimate, nanocore.runs.summary, nanocore.checkpoint.manifest, "
        "nanocore.checkpoint.choose, nanocore.infer.locate, nanocore.worker.__main__, nanocore.runs.supervisor, nanocore.compare.report, nanocore.compare.markdown",
    ],
)
def test_what_the_console_builds_upon_loads_neither_torch_nor_numpy(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {(*HEAVY, 'numpy', 'rich')} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
