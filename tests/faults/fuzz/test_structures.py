"""Documents and archives built from anything at all, rather than damaged ones: typed errors, and nothing outside of the run."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nanocore.checkpoint.manifest import verify
from nanocore.errors import FormatError
from nanocore.runs import archive
from nanocore.runs.control import Inbox
from nanocore.runs.facts import read_facts
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import observe
from nanocore.runs.records import read_all
from nanocore.runs.status import next_attempt
from nanocore.runs.summary import export_json
from nanocore.runs.tar import Member, header, read_member
from nanocore.runs.text import sanitize
from tests.resealed import reseal_json

NAMES = st.text(st.characters(exclude_categories=[]), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | NAMES
    | st.sampled_from([2**63, -(2**63), 10**400, "x" * 500]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
STATUS = ("schema", "state", "phase", "step", "steps", "tokens", "host", "pid", "start_ticks", "boot_id", "attempt", "updated", "exit_code")  # fmt: skip
FACTS = ("schema", "name", "preset", "created", "parent", "machine", "heldout", "parameters", "run", "step")
RECORD = ("schema", "step", "attempt", "kind", "time", "elapsed", "tokens", "loss/ce", "eval/ce", "nonfinite")
FILES = ("schema", "sha256", "files", "name", "bytes")


def tables(keys: tuple[str, ...]) -> st.SearchStrategy[object]:
    """Tables with some of the keys that a reader asks for, and values of any kind; or something else."""
    known = st.dictionaries(st.sampled_from(keys), VALUES | st.integers(0, 3) | st.sampled_from(["running", "crashed"]))
    return known | VALUES


def text(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@settings(max_examples=20, deadline=None)
@given(status=tables(STATUS), facts=tables(FACTS), records=st.lists(tables(RECORD), max_size=4))
def test_a_run_of_any_documents_is_shown(status: object, facts: object, records: list[object]) -> None:
    with tempfile.TemporaryDirectory() as place:
        run = RunFolder(Path(place) / "any")
        run.control_dir.mkdir(parents=True)
        run.status_file.write_bytes(text(status))
        run.run_file.write_bytes(text(facts))
        for path in (run.metrics_file, run.events_file):
            path.write_bytes(b"\n".join(map(text, records)) + b"\n")
        (run.control_dir / "stop").write_bytes(text(status))
        shown = json.dumps(export_json(run), allow_nan=False)
        assert shown.isascii() and "\\u001b" not in shown
        observe(run), read_facts(run), next_attempt(run), read_all(run.events_file), Inbox(run, 1).poll()


@settings(max_examples=30, deadline=None)
@given(
    tables(FILES) | st.fixed_dictionaries({"schema": st.integers(1, 2), "files": st.lists(tables(FILES), max_size=3)})
)
def test_any_manifest_is_judged(document: object) -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "manifest.json").write_bytes(reseal_json(text(document)))
        assert all("\n" not in problem for problem in verify(Path(place)))


@given(
    st.lists(
        st.sampled_from(["..", ".", "", "samples", "exports", "x", "config.toml", "\0", "~", "LOCK"]) | NAMES,
        max_size=5,
    )
)
def test_a_path_that_is_allowed_lies_in_the_run_and_steers_nothing(pieces: list[str]) -> None:
    name = "/".join(pieces)
    if archive.problem_of(name) == "":
        home = Path("/runs/any")
        assert (home / name).resolve(strict=False).is_relative_to(home) and name == str(Path(name))
        assert sanitize(name) == name and not Path(name).name.startswith(".")


@given(st.binary(max_size=511), st.binary(min_size=1, max_size=80), st.integers(0, 2**60))
def test_any_header_is_read_or_refused(noise: bytes, name: bytes, size: int) -> None:
    block = bytearray(header(Member("a" + name.hex()[:90], size)))
    assert read_member(io.BytesIO(bytes(block)), "x") == Member("a" + name.hex()[:90], size)
    block[: len(noise)] = noise
    try:
        assert read_member(io.BytesIO(bytes(block)), "x") is not None or not any(block)
    except FormatError as error:
        assert "\n" not in str(error)
