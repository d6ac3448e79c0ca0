"""Sources: which documents they have, in which order, and what they refuse."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from nanocore.config.sections import Source
from nanocore.data import documents as reader
from nanocore.data.duplicates import Duplicates
from nanocore.data.scan import document_digest
from nanocore.data.sources import documents, list_source
from nanocore.errors import DataError


def read(kind: str, *paths: Path | str, column: str = "text") -> tuple[list[str], list[str]]:
    """Documents, and what was passed over."""
    skipped: list[str] = []
    source = Source.model_validate({"kind": kind, "paths": [str(path) for path in paths], "column": column})
    found = list(documents(list_source(source), lambda path, reason: skipped.append(f"{Path(path).name}: {reason}")))
    return found, skipped


def refused(kind: str, *paths: Path | str, column: str = "text") -> str:
    with pytest.raises(DataError) as caught:
        read(kind, *paths, column=column)
    return str(caught.value)


def test_stdlib_is_the_library_and_nothing_else() -> None:
    root = Path(sysconfig.get_path("stdlib"))
    names = [Path(file.path).relative_to(root).as_posix() for file in list_source(Source(kind="stdlib")).files]
    assert {"argparse.py", "json/decoder.py", "asyncio/tasks.py"} <= set(names)
    parts = {part for name in names for part in name.split("/")[:-1]}
    assert not parts & {"site-packages", "dist-packages", "test", "tests", "idle_test", "encodings", "pydoc_data"}
    assert not [name for name in names if name.startswith("_sysconfigdata")]  # differs between machines
    assert names == sorted(names)


def test_files_come_sorted_once_each_and_globs_recurse(tmp_path: Path) -> None:
    for name in ("b/two.txt", "a.txt", "b/c/three.txt", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "none")
    found, skipped = read("files", tmp_path / "**/*.txt", tmp_path / "a.txt")
    assert (found, skipped) == (["a.txt", "b/c/three.txt", "b/two.txt"], [])


def test_binary_and_other_encodings_are_passed_over_by_name(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_bytes("é\r\n".encode())
    (tmp_path / "bom.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    (tmp_path / "picture.py").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "latin.py").write_bytes("é".encode("latin-1"))
    (tmp_path / "torn.py").write_bytes("é".encode()[:1])
    found, skipped = read("files", tmp_path / "*.py")
    assert found == ["x = 1\n", "é\r\n"]
    assert skipped == [
        "latin.py: not UTF-8 text",
        "picture.py: binary (it has NUL bytes)",
        "torn.py: not UTF-8 text",
    ]


def test_a_huge_file_is_cut_at_line_ends_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LONGEST", 1000)
    monkeypatch.setattr(reader, "PIECE", 300)
    text = "".join(f"line {number} é\r\n" for number in range(500)) + "x" * 2000
    (tmp_path / "huge.txt").write_bytes(text.encode())
    found, _ = read("files", tmp_path / "huge.txt")
    assert "".join(found) == text
    assert len(found) > 10 and max(map(len, found)) <= 600
    assert all(piece.endswith("\r\n") for piece in found[:15])


def test_nothing_found_says_what_to_do(tmp_path: Path) -> None:
    refusal = refused("files", tmp_path / "**/*.none")
    assert "no file matches" in refusal and "pattern" not in refusal
    assert "needs a pattern such as" in refused("files", tmp_path)  # a folder
    assert "not a usable pattern" in refused("files", "~nobody-of-that-name/*")


def test_names_with_control_characters_are_shown_harmless(tmp_path: Path) -> None:
    (tmp_path / "\x1b[31mred.bin").write_bytes(b"\0")
    (tmp_path / "\x1b[31mred.jsonl").write_bytes(b"nul")
    _, skipped = read("files", tmp_path / "*.bin")
    assert skipped == ["␛[31mred.bin: binary (it has NUL bytes)"]
    assert "␛[31mred.jsonl:1: not a JSON line" in refused("jsonl", tmp_path / "*.jsonl")


def test_jsonl_reads_the_column_and_names_the_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"body": "one\\n"}\n\n{"body": null}\n{"body": "tw\\u00f6", "id": 3}\n')
    assert read("jsonl", path, column="body")[0] == ["one\n", "", "twö"]
    assert "a.jsonl:1: no key 'text' (found body); set the source's column" in refused("jsonl", path)
    bad = {
        b'{"text": 5}': "is not text",
        b"[1]": "no object",
        b"nul": "not a JSON line",
        b'{"text": "\\ud800"}': "not a JSON line",
        b'{"text": "\xff"}': "not a JSON line",
        b"[" * 100_000: "not a JSON line",
    }
    for line, message in bad.items():
        path.write_bytes(json.dumps({"text": "fine"}).encode() + b"\n" + line + b"\n")
        assert message in refused("jsonl", path)
        assert "a.jsonl:2: " in refused("jsonl", path)


def test_jsonl_refuses_an_endless_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LINE_LIMIT", 1 << 20)
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "' + b"x" * (3 << 20))
    assert "a.jsonl:1: the line is longer than 1 MiB" in refused("jsonl", tmp_path / "a.jsonl")


def test_parquet_reads_all_row_groups_and_names_wrong_columns(tmp_path: Path) -> None:
    texts = [f"text {number} é" for number in range(300)] + [None]
    table = pa.table({"text": texts, "id": list(range(301)), "big": pa.array(texts, pa.large_string())})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=70)
    expected = [text or "" for text in texts]
    assert read("parquet", tmp_path / "a.parquet")[0] == expected
    assert read("parquet", tmp_path / "a.parquet", column="big")[0] == expected
    assert "has no column 'body' (found text, id, big)" in refused("parquet", tmp_path / "a.parquet", column="body")
    assert "holds int64, not strings" in refused("parquet", tmp_path / "a.parquet", column="id")


def test_damaged_parquet_is_one_line(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["some text"] * 100}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[:50], whole[:-9], whole.replace(b"text", b"\xff\xfe\xfd\xfc")):
        (tmp_path / "a.parquet").write_bytes(content)
        assert "\n" not in refused("parquet", tmp_path / "a.parquet")


def test_synthetic_documents_do_not_depend_on_their_number() -> None:
    few, many = (
        list(documents(list_source(Source(kind="synthetic", documents=count)), lambda *_: None)) for count in (5, 50)
    )
    assert many[:5] == few
    assert len(set(many)) == 50
    line = next(line for line in many[0].splitlines() if line.startswith("let"))
    assert line.split()[2] == "="


def test_a_vanished_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    listing = list_source(Source(kind="files", paths=[str(path)]))
    path.unlink()
    with pytest.raises(DataError, match=r"a.txt: vanished while it was being read; start again"):
        list(documents(listing, lambda *_: None))


def seen(kept: Duplicates, lines: list[str]) -> bool:
    text = "\n".join(lines).encode()
    return kept.seen(text, document_digest(text), near=True)


def test_near_duplicates_are_found_and_different_texts_kept() -> None:
    kept = Duplicates()
    original = [f"    value_{number} = compute({number})" for number in range(100)]
    assert not seen(kept, original)
    assert seen(kept, original)
    assert seen(kept, [line.strip() + "  " for line in original])  # indented otherwise
    assert seen(kept, ["# a new head", *original[:95], "something = else"])
    assert not seen(kept, [*original[:40], *(f"other {number}" for number in range(60))])
    assert not seen(kept, ["a single line"])


def test_exact_duplicates_are_found_without_near_search() -> None:
    kept = Duplicates()
    text = b"one\ntwo\nthree"
    assert not kept.seen(text, document_digest(text), near=False)
    assert kept.seen(text, document_digest(text), near=False)
    near = text + b"\n "
    assert not kept.seen(near, document_digest(near), near=False)
