"""Making a run folder: its name claimed, its configuration and its facts written, before any trainer exists."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nanocore.checkpoint.manifest import available, step_folder
from nanocore.errors import DISK_FULL, NanoError, ResourceError, UsageError, remedy
from nanocore.runs.documents import read_document, replace_file, write_document
from nanocore.runs.facts import SCHEMA, load_facts
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder, check_name
from nanocore.runs.liveness import observe
from nanocore.runs.orphans import is_orphan
from nanocore.runs.status import FINAL_STATES

if TYPE_CHECKING:
    from nanocore.config.schema import Config

_PACKAGES = ("nanoconsole", "torch", "numpy", "safetensors", "tokenizers")


@dataclass(frozen=True)
class Parent:
    """The checkpoint a forked run begins with: a run of the same root, its step, and what becomes of the optimizer."""

    run: str
    step: int
    optimizer: Literal["kept", "fresh"] = "kept"


def create_run(
    root: Path,
    config: Config,
    *,
    preset: str = "",
    name: str = "",
    argv: Sequence[str] = (),
    parent: Parent | None = None,
    experiment: Mapping[str, Any] | None = None,
) -> RunFolder:
    """Make a run under `root`, which is made too, and return it; without `name` it is numbered, as tiny-cpu-0007.

    Relative paths in `config` are made absolute, from the working directory: the run means the same files everywhere.
    `experiment` says which part of a comparison the run is (name, variant, seed, kind); other runs have none.
    What it names and is not there is refused first (DataError, UsageError).
    run.json is written last: a folder without it is not listed as a run. Raises UsageError when the name is taken or
    not allowed or the folder cannot be written, ResourceError when the disk is full. Nothing half-made stays behind.
    """
    from nanocore.config.paths import anchored  # pydantic, which readers of runs do not need
    from nanocore.config.toml import dump
    from nanocore.runs.named import refuse_missing

    refuse_missing(config)
    text = dump(anchored(config))
    try:
        run = _claim(root, preset, name)
    except OSError as error:
        raise _refusal(root, error) from None
    try:
        for folder in run.directories:
            folder.mkdir()
        replace_file(run.config_file, text.encode(), durable=True)
        facts = {"schema": SCHEMA, "name": run.name, **_facts(preset, argv, parent)}
        write_document(run.run_file, facts if experiment is None else {**facts, "experiment": dict(experiment)})
    except BaseException as error:
        shutil.rmtree(run.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise _refusal(root, error) from None
        raise
    return run


def read_run(run: RunFolder) -> dict[str, Any]:
    """All that run.json holds, strings sanitised, for whoever adds to it or passes it on; {} when it cannot be read.

    Who shows or acts upon a field takes it from `facts.read_facts`.
    """
    return read_document(run.run_file, newest=SCHEMA) or {}


def update_run(run: RunFolder, **fields: Any) -> None:
    """Set fields of run.json in one step; for the process that holds the run's lock. Raises OSError."""
    write_document(run.run_file, {**read_run(run), **fields})


def starting_checkpoint(run: RunFolder) -> Path | None:
    """The checkpoint folder of the parent that a forked run begins with; None for a run that begins anew.

    Raises UsageError when run.json cannot be read: a fork must not begin anew.
    """
    parent = load_facts(run).parent
    if parent is None:
        return None
    family = RunFolder(run.path.parent / check_name(parent.run))
    return step_folder(family.checkpoints_dir, parent.step)


def _claim(root: Path, preset: str, name: str) -> RunFolder:
    """The new, empty folder. Only mkdir decides, so any number of launches at once get different names."""
    root.mkdir(parents=True, exist_ok=True)
    if name:
        run = RunFolder(root / check_name(name))
        try:
            run.path.mkdir()
        except FileExistsError:
            raise _taken(run) from None
        return run
    for candidate in _numbered(root, stem(preset)):
        try:
            candidate.mkdir()
        except FileExistsError:
            continue
        return RunFolder(candidate)
    raise UsageError("no number is left for a new run", where=str(root), fix="give it a name with --name")


def _taken(run: RunFolder) -> UsageError:
    """The refusal of a name that is taken: what has it, and what to do about it."""
    if is_orphan(run):
        what = f"a folder without a run.json has the name {run.name!r}"
        fix = f"choose another name, or move the folder to the trash: {to_type(f'runs delete {run.name}')}"
    else:
        what, fix = f"a run named {run.name!r} exists already", _free(run)
    return UsageError(what, where=str(run.path.parent), fix=fix)


def _free(run: RunFolder) -> str:
    """What to do about a name that is taken: a run that ended with nothing to go on from may give it up."""
    state = observe(run).state
    if state in FINAL_STATES and not available(run.checkpoints_dir):
        return f"it {state} without a checkpoint: {to_type(f'runs delete {run.name}')} frees the name"
    return "choose another name"


def _numbered(root: Path, beginning: str) -> Iterator[Path]:
    """BEGINNING-NNNN from the first number above all that are taken."""
    taken = (re.fullmatch(rf"{re.escape(beginning)}-(\d{{4,9}})", path.name) for path in root.iterdir())
    start = max((int(match.group(1)) for match in taken if match), default=0) + 1
    return (root / f"{beginning}-{number:04d}" for number in range(start, 10**9))


def stem(preset: str) -> str:
    """A preset's name as the beginning of a run's name; a path to a file gives the file's name."""
    plain = re.sub(r"[^a-z0-9]+", "-", Path(preset).name.removesuffix(".toml").lower())
    return plain.strip("-")[:50].strip("-") or "run"


def _facts(preset: str, argv: Sequence[str], parent: Parent | None) -> dict[str, Any]:
    """What is known at the launch; the trainer adds device, dtype, threads and corpus."""
    origin = None
    if parent is not None:
        origin = {
            **asdict(parent),
            "checkpoint": f"../{parent.run}/checkpoints/{step_folder(Path(), parent.step).name}",
        }
    return {
        "id": uuid.uuid4().hex,
        "preset": preset,
        "argv": list(argv),
        "created": time.time(),
        "versions": _versions(),
        "git": git_revision(),
        "parent": origin,
    }


def _versions() -> dict[str, str]:
    from importlib import metadata  # with what it needs of e-mail, which who only reads runs need not wait for

    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = ""
    return found


def git_revision() -> str:
    """The commit of this project's checkout, with -dirty when it was changed; "" when it runs from no checkout."""
    checkout = Path(__file__).parents[3]
    if not (checkout / ".git").exists():
        return ""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _refusal(root: Path, error: OSError) -> NanoError:
    reason = f"a run cannot be made here: {error.strerror}"
    kind = ResourceError if error.errno in DISK_FULL else UsageError
    return kind(reason, where=str(root), fix=remedy(error, "choose another folder with --runs"))
