"""A new run has its own name and all its facts, or leaves nothing behind."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nanocore.checkpoint.manifest import commit, step_folder
from nanocore.config.continuation import fork_conflicts, resume_conflicts
from nanocore.config.schema import Config
from nanocore.config.toml import load
from nanocore.data.sources import list_source
from nanocore.errors import DataError, NanoError, ResourceError, UsageError
from nanocore.runs import create
from nanocore.runs.create import Parent, create_run, read_run, starting_checkpoint, update_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import list_runs
from nanocore.runs.trash import discard
from tests.reference_checkpoint import trained
from tests.run_helpers import exit_code, fork, make_run, status_of_me


def test_a_run_holds_its_configuration_and_where_it_came_from(tmp_path: Path) -> None:
    config = Config.model_validate({"training": {"steps": 7}})
    run = create_run(tmp_path, config, preset="tiny-cpu", argv=["train", "tiny-cpu"])
    assert run.name == "tiny-cpu-0001"
    assert load(run.config_file) == config
    facts = read_run(run)
    assert (facts["schema"], facts["preset"], facts["argv"]) == (1, "tiny-cpu", ["train", "tiny-cpu"])
    assert facts["versions"]["torch"]
    assert facts["parent"] is None
    assert all(folder.is_dir() for folder in run.directories)


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        ("", "run-0001"),
        ("my/Own Preset.toml", "own-preset-0001"),
        ("../..", "run-0001"),
        ("x" * 90, "x" * 50 + "-0001"),
    ],
)
def test_the_name_follows_the_preset(tmp_path: Path, preset: str, name: str) -> None:
    assert create_run(tmp_path, Config(), preset=preset).name == name


def test_numbers_go_on_after_the_highest(tmp_path: Path) -> None:
    for taken in ("tiny-cpu-0003", "tiny-cpu-0009", "tiny-cpu-other", "tiny-0100"):
        (tmp_path / taken).mkdir()
    assert create_run(tmp_path, Config(), preset="tiny-cpu").name == "tiny-cpu-0010"


def test_many_launches_at_once_all_get_a_run_of_their_own(tmp_path: Path) -> None:
    """Three processes of eight threads each claim numbers in the same folder."""

    def launch_many() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: create_run(tmp_path, Config(), preset="tiny"), range(8)))

    children = [fork(launch_many) for _ in range(2)]
    launch_many()
    assert [exit_code(child) for child in children] == [0, 0]
    assert [run.name for run in list_runs(tmp_path)] == [f"tiny-{n:04d}" for n in range(1, 25)]


def test_a_taken_name_is_refused_and_the_run_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path, "mine")
    before = run.run_file.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        make_run(tmp_path, "mine")
    assert run.run_file.read_bytes() == before


def test_a_name_whose_run_failed_before_its_first_checkpoint_can_be_freed(tmp_path: Path) -> None:
    run = make_run(tmp_path, "mine")
    write_document(run.status_file, status_of_me(state="crashed", exit_code=2))
    with pytest.raises(UsageError, match=r"crashed without a checkpoint: .*runs delete mine frees the name"):
        make_run(tmp_path, "mine")
    discard(run.path.parent, run)
    make_run(tmp_path, "mine")
    write_document(run.status_file, status_of_me(state="crashed", exit_code=2))
    commit(lambda folder: (folder / "x").touch(), step_folder(run.checkpoints_dir, 3), {})
    with pytest.raises(UsageError, match="choose another name"):
        make_run(tmp_path, "mine")


def test_a_run_keeps_its_paths_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "a [b]"
    (here / "text").mkdir(parents=True)
    monkeypatch.chdir(here)
    Path("text/one.md").write_text("one")
    Path("tokenizer.json").touch()
    Path("runs/a").mkdir(parents=True)
    trained(Path("runs/a/checkpoints"), {"model": {"context_length": 512}})
    config = Config.model_validate(
        {
            "data": {
                "sources": [{"kind": "files", "paths": ["text/*.md", "~/more/*.md", "/else/*.md"]}],
                "tokenizer": "file",
                "tokenizer_file": "tokenizer.json",
            },
            "collider": {"mode": "head", "importance": "excess", "reference": "runs/a/checkpoints/step-00000020"},
        }
    )
    kept = load(create_run(tmp_path / "runs", config, name="mine").config_file)
    monkeypatch.chdir(tmp_path)
    source = kept.data.sources[0]
    assert [file.path for file in list_source(source).files] == [str(here / "text/one.md")]
    assert source.paths[1:] == ["~/more/*.md", "/else/*.md"]
    assert kept.data.tokenizer_file == str(here / "tokenizer.json")
    assert kept.collider.reference == str(here / "runs/a/checkpoints/step-00000020")
    monkeypatch.chdir(here)
    assert fork_conflicts(kept, config) == resume_conflicts(kept, config) == []


def test_a_source_without_a_file_is_refused_before_it_takes_a_name(tmp_path: Path) -> None:
    def config(*patterns: str) -> Config:
        paths = [str(tmp_path / pattern) for pattern in patterns]
        return Config.model_validate({"data": {"sources": [{"kind": "jsonl", "paths": paths}]}})

    (tmp_path / "folder.md").mkdir()
    fix = "check the folder and the ending of the names"
    with pytest.raises(
        DataError, match=rf"^data\.sources\[0\]\.paths: no file matches {tmp_path}/\*\.md; {fix}$"
    ) as refused:
        create_run(tmp_path / "runs", config("*.md"), name="mine")
    assert refused.value.exit_code == 2 and not (tmp_path / "runs").exists()
    (tmp_path / "one.md").write_text("one")
    assert create_run(tmp_path / "runs", config("*.none", "*.md"), name="mine").name == "mine"


LONG = "x" * 300  # no file can have this name, and asking for it is an error of its own


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"data": {"tokenizer": "file", "tokenizer_file": "none.json"}}, "none.json: there is no such file; data.tokenizer_file"),
        ({"data": {"tokenizer": "file", "tokenizer_file": LONG}}, "there is no such file; data.tokenizer_file names"),
        ({"data": {"sources": [{"kind": "files", "paths": [f"{LONG}/*.py"]}]}}, "no file matches x"),
        (
            {"collider": {"mode": "head", "importance": "excess", "reference": "none"}},
            "collider.reference: is not a checkpoint folder; give the path of a folder .../RUN/checkpoints/step-",
        ),
        (
            {"fire": {"at_step": 5, "parameters": ["*.query.weight", "*.quary.weight"]}},
            "'*.quary.weight' fits no matrix of the model; write a name such as blocks.0.attention.query.weight",
        ),
    ],
    ids=["tokenizer", "long tokenizer", "long source", "reference", "FIRE"],
)  # fmt: skip
def test_what_is_named_and_not_there_is_refused_before_a_run_is_made(
    tmp_path: Path, table: dict[str, object], told: str
) -> None:
    with pytest.raises(NanoError) as refused:
        create_run(tmp_path / "runs", Config.model_validate(table))
    assert told in str(refused.value) and refused.value.exit_code == 2
    assert not (tmp_path / "runs").exists()


def test_a_full_disk_leaves_no_half_made_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(create, "write_document", full)
    with pytest.raises(ResourceError, match="No space left"):
        create_run(tmp_path, Config())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be made here"):
        create_run(tmp_path / "file" / "runs", Config())


def test_updating_keeps_what_was_known_and_readers_never_see_half(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    update_run(run, device="cpu", threads=2)
    assert read_run(run)["device"] == "cpu"
    assert read_run(run)["versions"]
    seen = set()

    def rewrite() -> None:
        for number in range(60):
            update_run(run, device="x" * number)

    child = fork(rewrite)
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        seen.add(bool(read_run(run)))
    assert exit_code(child) == 0
    assert seen == {True}


def test_a_fork_remembers_its_parents_checkpoint(tmp_path: Path) -> None:
    first = make_run(tmp_path, "first")
    run = create_run(first.path.parent, Config(), name="second", parent=Parent("first", 40, "fresh"))
    assert read_run(run)["parent"] == {
        "run": "first",
        "step": 40,
        "optimizer": "fresh",
        "checkpoint": "../first/checkpoints/step-00000040",
    }
    assert starting_checkpoint(run) == first.checkpoints_dir / "step-00000040"
    assert starting_checkpoint(first) is None


def test_torn_facts_are_unknown_not_an_error(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.run_file.write_bytes(run.run_file.read_bytes()[:20])
    assert read_run(run) == {}
