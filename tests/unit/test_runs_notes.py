"""Tags, note and archive of a run: kept in its folder, changed as a whole, and never written over when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocore.errors import ConfigError, UsageError
from nanocore.runs.layout import RunFolder
from nanocore.runs.notes import Notes, change_notes, read_notes
from tests.run_helpers import make_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path)


def test_tags_are_added_and_removed_and_the_rest_stays(run: RunFolder) -> None:
    assert read_notes(run) == Notes()
    change_notes(run, add=["good", "sweep/1", "good"], note="try again")
    change_notes(run, add=["new"], remove=["good", "never-there"])
    assert read_notes(run) == Notes(("sweep/1", "new"), "try again")
    change_notes(run, archived=True)
    assert read_notes(run) == Notes(("sweep/1", "new"), "try again", archived=True)
    change_notes(run, note="", archived=False)
    assert read_notes(run) == Notes(("sweep/1", "new"))


def test_the_users_own_lines_and_comments_stay(run: RunFolder) -> None:
    run.notes_file.write_text('# mine\ntags = ["a"]  # why\n[more]\nowner = "me"\n')
    change_notes(run, add=["b"])
    text = run.notes_file.read_text()
    assert "# mine" in text and 'owner = "me"' in text
    assert read_notes(run).tags == ("a", "b")


def test_nothing_is_written_when_nothing_changed(run: RunFolder) -> None:
    change_notes(run, remove=["a"])
    assert not run.notes_file.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"tags = [", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"schema = 9\n", "newer version"),
        (b"#" * (1 << 17), "cannot be read"),
    ],
)
def test_a_damaged_file_is_told_and_never_written_over(run: RunFolder, content: bytes, says: str) -> None:
    run.notes_file.write_bytes(content)
    assert says in read_notes(run).problem
    with pytest.raises(ConfigError, match=says):
        change_notes(run, add=["x"])
    assert run.notes_file.read_bytes() == content


def test_entries_of_another_kind_count_for_nothing_and_texts_are_safe(run: RunFolder) -> None:
    run.notes_file.write_text(
        'tags = ["ok", 3, "No Tag", "\\u001b[2J"]\nnote = "a\\nb \\u001b[31m"\narchived = "yes"\n'
    )
    assert read_notes(run) == Notes(("ok",), "a b ␛[31m")


def test_a_symbolic_link_is_not_followed(run: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('tags = ["theirs"]\n')
    run.notes_file.symlink_to(other)
    assert read_notes(run).tags == ()
    assert read_notes(run).problem


@pytest.mark.parametrize("tag", ["", "Big", "two words", "-x", "a" * 33, "x\x1b"])
def test_what_cannot_be_a_tag_is_refused(run: RunFolder, tag: str) -> None:
    with pytest.raises(UsageError, match="cannot be a tag"):
        change_notes(run, add=[tag])


def test_limits_of_tags_and_note(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="at most 32 tags"):
        change_notes(run, add=[f"t{number}" for number in range(33)])
    with pytest.raises(UsageError, match="at most 1000"):
        change_notes(run, note="x" * 1001)
    assert not run.notes_file.exists()
