"""What an archive of a run says of itself: its first file, with the name, size and hash of every other one.

Everything is decided on it before a byte is unpacked: nothing lies outside the folder of a run, nothing is there twice, and
how much it will be is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from nanocore.runs.documents import Flawed, Newer, check_version
from nanocore.runs.integrity import Finding
from nanocore.runs.layout import RunFolder, valid_name
from nanocore.runs.tar import refusal
from nanocore.runs.text import sanitize, sanitize_line
from nanocore.seal import ZEROS, json_agrees, seal_json

SCHEMA = 1
NAME = "nanoconsole-run.json"
MOST_BYTES = 32 << 20  # of this document
MOST_FILES = 100_000
FEWER = "remove samples or TensorBoard files from the run, and pack it again"
MOST_PARTS, LONGEST_PART, LONGEST_NAME = 8, 200, 255
GZIPPED = (".tar.gz", ".tgz")
_ANY = RunFolder(Path())  # its properties are names
_SHA256 = re.compile(r"[0-9a-f]{64}")

# What is being done ("verifying", "reading", "writing", "unpacking"), how many bytes of it are done, and of how many (0: not known).
# An exception that it raises ends the work, and nothing half-made stays.
Progress = Callable[[str, int, int], None]


class PackedFile(msgspec.Struct, frozen=True):
    """A file of the run: its path inside the folder, its bytes, its hash."""

    name: str
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**60)]
    sha256: str


def unheard(doing: str, done: int, total: int) -> None:
    """The progress of work that nobody watches."""


def heard(findings: Iterator[Finding], progress: Progress) -> Iterator[Finding]:
    """The findings of a verification, told as they come: how many bytes it will read is not known."""
    for finding in findings:
        progress("verifying", 0, 0)
        yield finding


class Counted:
    """The bytes of one piece of work, told as they come."""

    def __init__(self, progress: Progress, doing: str, total: int) -> None:
        self._progress, self._doing, self._total, self._done = progress, doing, total, 0

    def add(self, count: int) -> None:
        self._done += count
        self._progress(self._doing, self._done, self._total)


class Contents(msgspec.Struct, frozen=True):
    """The document. `packed` is Unix time, `version` that of the program that packed it."""

    run: str
    version: str
    packed: float
    files: list[PackedFile]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def parts(run: RunFolder) -> tuple[set[str], set[str]]:
    """Names of the files and of the folders of a run that travel; its lock and its letters do not."""
    files = (
        run.config_file, run.run_file, run.status_file, run.metrics_file, run.layers_file, run.events_file,
        run.log_file, run.notes_file, run.tokenizer_file,
    )  # fmt: skip
    directories = (run.tensorboard_dir, run.checkpoints_dir, run.samples_dir, run.exports_dir)
    return {path.name for path in files}, {path.name for path in directories}


def encode(contents: Contents) -> bytes:
    """The document as bytes, under its own hash."""
    table = {"schema": SCHEMA, "sha256": ZEROS.decode(), **msgspec.to_builtins(contents)}
    return seal_json(msgspec.json.encode(table))


def decode(raw: bytes, where: str) -> Contents:
    """The document of bytes. Raises FormatError for one that is damaged, or whose files cannot be those of a run."""
    if not json_agrees(raw):
        raise refusal("is damaged: its list of files was altered (SHA-256 differs)", where)
    try:
        document = msgspec.json.decode(raw, type=dict[str, Any])  # names as they are: a cleaned one is another file's
        check_version(msgspec.convert(document["schema"], int), SCHEMA)
        contents = msgspec.convert(document, Contents)
    except Newer as flaw:
        raise refusal(str(flaw), where, fix="import it with that version") from None
    except (Flawed, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise refusal(f"its list of files is none ({sanitize_line(str(error), 120)})", where) from None
    if not valid_name(contents.run):
        raise refusal("names no run", where)
    if len(contents.files) > MOST_FILES:
        raise refusal(f"claims {len(contents.files)} files, and {MOST_FILES} are allowed", where, fix=FEWER)
    _check_files(contents.files, where)
    return contents


def problem_of(name: str) -> str:
    """Why a path cannot lie in the folder of a run, "" when it can."""
    pieces = name.split("/")
    files, directories = parts(_ANY)
    if name.startswith("/"):
        return "is an absolute path"
    if ".." in pieces:
        return "leads out of the run's folder"
    if sanitize(name) != name or not name.isprintable():
        return "holds characters that steer a terminal"
    if any(not piece or piece.startswith(".") or len(piece.encode()) > LONGEST_PART for piece in pieces):
        return "has a part that is empty, hidden or too long"
    if len(pieces) > MOST_PARTS or len(name.encode()) > LONGEST_NAME:
        return "is too long"
    if not (name in files if len(pieces) == 1 else pieces[0] in directories):
        return "is no part of a run"
    return ""


def _check_files(files: list[PackedFile], where: str) -> None:
    names = {file.name for file in files}
    if len(names) != len(files):
        raise refusal("holds a file twice", where)
    for file in files:
        if reason := problem_of(file.name):
            raise refusal(f"holds {sanitize_line(file.name, 80)!r}, which {reason}", where)
        if any(file.name[:i] in names for i, sign in enumerate(file.name) if sign == "/"):
            raise refusal(f"holds {file.name!r} inside a file", where)
        if not _SHA256.fullmatch(file.sha256):
            raise refusal(f"has no hash of {file.name!r}", where)
