"""A flipped bit in an export never loads silently, and a file without a hash says that it has none."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanocore.errors import FormatError, NanoError
from nanocore.export.gguf_parse import parse_gguf
from nanocore.export.gguf_read import read_gguf
from nanocore.export.hf_read import read_hf
from nanocore.export.hugging_face import export_hf
from nanocore.export.mhc_file import read_mhc, write_mhc
from nanocore.export.sealed import ALTERED, HASH_KEY, SCHEMA_KEY, UNVERIFIED, beside, check_export
from nanocore.infer.contents import VERIFIED, contents
from nanocore.infer.load import load_model
from nanocore.infer.locate import Source, locate
from nanocore.infer.tensor_files import tensor_file
from tests.exports import export, exported_model
from tests.saved import BYTES, saved_run
from tests.unit.test_export_strict import rewritten

FLIPS = 60  # of each kind; `make test-faults` flips 1,000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint and an export of each kind."""
    found = tmp_path_factory.mktemp("exports")
    plain, streams = exported_model("model.n_layers=1"), exported_model("model.n_layers=1", "mhc.streams=2")
    export(plain, found / "stock.gguf")
    export(streams, found / "own.gguf")
    export_hf(plain, BYTES, plain.config, found / "hf")
    write_mhc(streams, found / "maps.mhc")
    saved_run(found, "model.n_layers=1")
    return found


def checkpoint(folder: Path) -> Path:
    return folder / "saved" / "checkpoints" / "step-00000003"


LOADERS: dict[str, Callable[[Path], object]] = {
    "stock.gguf": read_gguf,
    "own.gguf": read_gguf,
    "hf": read_hf,
    "maps.mhc": read_mhc,
    "saved/checkpoints/step-00000003": lambda path: load_model(locate(path).path),
}


def files_of(path: Path) -> list[Path]:
    """The files of which every bit counts."""
    if path.is_file():
        return [path, *([beside(path)] if beside(path).exists() else [])]
    return [each for each in sorted(path.iterdir()) if each.name != "README.md"]


def flipped(name: str, folder: Path, place: Path, count: int) -> list[int]:
    """How many of `count` random flips, over all files in proportion to their size, were refused and loaded."""
    path = place / Path(name).name
    chance, told = random.Random(name), [0, 0]
    shutil.copytree(folder / name, path) if (folder / name).is_dir() else shutil.copy(folder / name, path)
    if beside(folder / name).exists():
        shutil.copy(beside(folder / name), beside(path))
    files = files_of(path)
    sizes = [each.stat().st_size for each in files]
    LOADERS[name](path)
    for _ in range(count):
        file = chance.choices(files, sizes)[0] if chance.random() < 0.7 else chance.choice(files)
        good = file.read_bytes()
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        file.write_bytes(bad)
        try:
            LOADERS[name](path)
            told[1] += 1
        except NanoError as error:
            assert "\n" not in str(error)
            told[0] += 1
        file.write_bytes(good)
    return told


@pytest.mark.parametrize("name", LOADERS)
def test_no_flipped_bit_loads(name: str, folder: Path, tmp_path: Path) -> None:
    assert flipped(name, folder, tmp_path, FLIPS) == [FLIPS, 0]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", LOADERS)
def test_of_a_thousand_flipped_bits_none_loads(name: str, folder: Path, tmp_path: Path) -> None:
    assert flipped(name, folder, tmp_path, 1000) == [1000, 0]


def test_the_light_check_says_the_same_without_reading_the_format(folder: Path, tmp_path: Path) -> None:
    for name in ("stock.gguf", "own.gguf", "hf", "maps.mhc"):
        assert check_export(folder / name) is True
    raw = (folder / "own.gguf").read_bytes()
    for place in range(0, 300):
        (tmp_path / "x.gguf").write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(FormatError, match="altered"):
            check_export(tmp_path / "x.gguf")


def test_the_hash_lies_at_the_front_where_other_programs_read_past_it(folder: Path) -> None:
    file = parse_gguf(folder / "stock.gguf")
    assert list(file.keys)[:3] == ["general.architecture", SCHEMA_KEY, HASH_KEY]
    assert file.verified


def test_the_card_may_be_edited_and_the_rest_may_not(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder / "hf", tmp_path / "hf")
    (copy / "README.md").write_text("# mine\n")
    assert check_export(copy) is True
    for file in files_of(copy):
        good = file.read_bytes()
        file.write_bytes(good + b" ")
        with pytest.raises(FormatError):
            read_hf(copy)
        file.write_bytes(good)


def test_the_hash_beside_a_file_is_that_of_sha256sum(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "maps.mhc.sha256"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0
    copy = Path(shutil.copy(folder / "maps.mhc", tmp_path / "maps.mhc"))
    assert check_export(copy) is False


def test_a_file_renamed_with_its_hash_is_told_how_to_make_the_hash_anew(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(folder / "maps.mhc", tmp_path / "my maps.mhc"))
    shutil.copy(beside(folder / "maps.mhc"), beside(other))
    with pytest.raises(
        FormatError, match="agrees with the hash beside it, which names another file; make it anew: "
    ) as caught:
        read_mhc(other)
    subprocess.run(["sh", "-c", caught.value.fix.partition(": ")[2]], cwd=tmp_path, check=True)
    assert check_export(other) is True
    for line in (f"{'0' * 64}  maps.mhc\n", "none\n"):  # of another file, and of none: it may be damaged
        beside(other).write_text(line)
        with pytest.raises(
            FormatError, match=r"the \.sha256 beside it does not hold its hash; fetch .* if you trust the file"
        ):
            read_mhc(other)


def test_inspect_says_whether_a_file_could_be_verified(folder: Path, tmp_path: Path) -> None:
    told = {
        "own.gguf": contents(Source("gguf", folder / "own.gguf", "x")).integrity,
        "hf": contents(Source("hf", folder / "hf", "x")).integrity,
        "checkpoint": contents(Source("checkpoint", checkpoint(folder), "x")).integrity,
        "maps.mhc": tensor_file(folder / "maps.mhc").integrity,
    }
    assert set(told.values()) == {VERIFIED}
    copy = Path(shutil.copy(folder / "maps.mhc", tmp_path / "maps.mhc"))
    assert tensor_file(copy).integrity == UNVERIFIED


def older(keys: dict[str, Any], place: str, version: int) -> None:
    """Without a hash; its version at the end, where version 1 had it, or where it is now."""
    del keys[HASH_KEY], keys[SCHEMA_KEY]
    others = dict(keys)
    keys.clear()
    first, last = ({SCHEMA_KEY: version}, {}) if place == "front" else ({}, {SCHEMA_KEY: version})
    keys.update({"general.architecture": others.pop("general.architecture"), **first, **others, **last})


def test_a_file_of_the_version_before_loads_and_says_that_it_holds_no_hash(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(folder / "own.gguf", tmp_path / "x.gguf")
    old = rewritten(tmp_path, tmp_path / "old.gguf", lambda keys, _: older(keys, "end", 1))
    read_gguf(old)
    assert caplog.messages == [f"old.gguf: {UNVERIFIED}"]
    assert contents(Source("gguf", old, "x")).integrity == UNVERIFIED and check_export(old) is False
    for place, version in (("front", 1), ("front", 2), ("end", 2)):
        bad = rewritten(tmp_path, tmp_path / "bad.gguf", lambda keys, _, p=place, v=version: older(keys, p, v))
        with pytest.raises(FormatError, match="altered"):
            read_gguf(bad)


@pytest.mark.parametrize("version", [1, 2])
def test_a_folder_of_the_version_before_loads_and_one_that_lost_its_hash_does_not(
    version: int, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = shutil.copytree(folder / "hf", tmp_path / "hf")
    table = json.loads((copy / "nanoconsole.json").read_text())
    del table["sha256"], table["files"]
    (copy / "nanoconsole.json").write_text(json.dumps(table | {"schema": version}))
    if version == 2:
        with pytest.raises(FormatError, match=ALTERED[:10]):
            read_hf(copy)
        return
    read_hf(copy)
    assert caplog.messages == [f"hf: {UNVERIFIED}"]
    assert contents(Source("hf", copy, "x")).integrity == UNVERIFIED
