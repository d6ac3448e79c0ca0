"""No code of this project runs what it reads, nor leans on what a network file system does not have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGES = ("nanoconsole", "core/nanocore", "kernels/nanokernels", "presets", "scripts")
MODULES = {  # what reads code out of data, and what needs a file system of this very machine
    "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "yaml", "code", "codeop", "pty",
    "inotify", "pyinotify", "watchfiles", "watchdog", "tarfile", "zipfile",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "os.system", "os.popen", "os.posix_spawn", "subprocess.getoutput", "subprocess.getstatusoutput", "fcntl.flock",
    "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter", "shutil.unpack_archive", "shutil.make_archive",
    "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "numpy.fromfile", "pandas.read_pickle",
}  # fmt: skip
NEEDS = {"torch.load": ("weights_only", True)}
FORBIDS = {"shell": True, "allow_pickle": True, "weights_only": False, "trust_remote_code": True}
OBJECTS = {
    "broadcast_object_list",
    "all_gather_object",
    "gather_object",
    "scatter_object_list",
    "send_object_list",
}  # pickle


LOCKS = {  # where a lock only saves work that would be done twice, and its absence is no fault
    "core/nanocore/data/cache.py",
    "kernels/nanokernels/build.py",
    "nanoconsole/services/alert_guard.py",
}


LAST = {name.rpartition(".")[2] for name in (*CALLS, *NEEDS)}
WORDS = {  # one of them stands in every source that could be at fault
    *(f"{word} {name}" for name in MODULES for word in ("import", "from")),
    *(f"{before}{name}(" for name in BUILTINS for before in " \n([{,=!"),
    *(f"{name}(" for name in LAST - {"load"}),
    *("torch.load(", "import load", "hub.load(", "jit.load(", *FORBIDS, *OBJECTS),
}


def faults(source: str) -> Iterator[str]:
    """What in a source is forbidden, as `line: what`. Sources without a suspicious word are not parsed, which is slow."""
    if not any(word in f"\n{source}" for word in WORDS):
        return
    tree = ast.parse(source)
    names = _aliases(tree)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for module in _imported(node):
            if module.split(".")[0] in MODULES:
                yield f"{line}: import of {module}"
        if isinstance(node, ast.Call):
            yield from (f"{line}: {what}" for what in _call(node, names))


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _aliases(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: `np` for numpy, `system` for os.system."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _call(node: ast.Call, names: dict[str, str]) -> Iterator[str]:
    name = _dotted(node.func)
    first, _, rest = name.partition(".")
    full = names.get(first, first) + (f".{rest}" if rest else "")
    keywords = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
    if full in BUILTINS or full in CALLS or name.rpartition(".")[2] in OBJECTS:
        yield f"call of {full}"
    if full in NEEDS and keywords.get(NEEDS[full][0]) != NEEDS[full][1]:
        yield f"{full} without {NEEDS[full][0]}={NEEDS[full][1]}"
    for key in FORBIDS.keys() & {word.arg for word in node.keywords}:
        if keywords.get(key, FORBIDS[key]) == FORBIDS[key]:
            yield f"{full} with {key}"


def _dotted(node: ast.expr) -> str:
    """The name of what is called, as a.b.c; of what is computed only the last part."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id if isinstance(node, ast.Name) else ""]))


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))


def test_nothing_forbidden_is_in_any_package() -> None:
    found = {(str(path.relative_to(PROJECT)), fault) for path in sources() for fault in faults(path.read_text())}
    locks = {(file, fault) for file, fault in found if file in LOCKS and fault.endswith("call of fcntl.flock")}
    assert len(sources()) > 300
    assert {file for file, _ in locks} == LOCKS
    assert found == locks


BAD = [
    "import pickle",
    "from pickle import loads",
    "import yaml",
    "import numpy as np\nnp.load(f, allow_pickle=True)",
    "import numpy as np\nnp.load(f, allow_pickle=flag)",
    "eval(text)",
    "exec(compile(text, '', 'exec'))",
    "import os\nos.system('ls')",
    "from os import popen\npopen('ls')",
    "import subprocess\nsubprocess.run('ls', shell=True)",
    "import subprocess as s\ns.Popen(x, shell=flag)",
    "import torch\ntorch.load(path)",
    "from torch import load\nload(path, weights_only=False)",
    "import torch.distributed as dist\ndist.broadcast_object_list(x)",
    "import fcntl\nfcntl.flock(f, 2)",
    "from fcntl import flock\nflock(f, 2)",
    "import tarfile",
]
GOOD = [
    "import re\nre.compile('x')",
    "model.eval()",
    "import torch\ntorch.load(path, weights_only=True)",
    "import subprocess\nsubprocess.run(['ls'], shell=False)",
    "import fcntl\nfcntl.lockf(f, 2)",
    "import yamlish",
]


@pytest.mark.parametrize("source", BAD)
def test_the_lint_sees_what_is_forbidden(source: str) -> None:
    assert list(faults(source))


@pytest.mark.parametrize("source", GOOD)
def test_the_lint_lets_pass_what_is_not(source: str) -> None:
    assert list(faults(source)) == []
