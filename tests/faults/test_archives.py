"""A run as one file and back: the same bytes, or one clear refusal and nothing made."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from nanocore.checkpoint.manifest import remove, step_folder
from nanocore.errors import BusyError, FormatError, NanoError, ResourceError, UsageError
from nanocore.runs import archive, unpack
from nanocore.runs.archive import Contents, PackedFile
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder, list_runs, private
from nanocore.runs.liveness import acquire, observe
from nanocore.runs.pack import pack_run
from nanocore.runs.status import Status
from nanocore.runs.tar import END, Member, header, padding, read_member
from nanocore.runs.unpack import unpack_run
from tests import command_line
from tests.command_line import Nano
from tests.quick import quick
from tests.tui.checkpoint_scenes import damage
from tests.whole_run import contents, whole_run

nano = command_line.nano


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that no test changes."""
    return whole_run(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def packed(sound: RunFolder) -> Path:
    return pack_run(sound, sound.path.parent / "run.tar").path


@pytest.fixture
def run(sound: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(sound.path, tmp_path / "runs" / sound.name))


def nothing_made(root: Path) -> bool:
    home = private(root) / "incoming"
    return not list_runs(root) and not (home.is_dir() and list(home.iterdir()))


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz"])
def test_a_run_travels_whole(run: RunFolder, nano: Nano, tmp_path: Path, ending: str) -> None:
    file, elsewhere = tmp_path / f"run{ending}", tmp_path / "elsewhere"
    before = contents(run)
    result = nano("runs", "export", run.name, str(file))
    assert (result.code, result.out) == (0, f"{file}\n")
    result = nano("--runs", str(elsewhere), "runs", "import", str(file))
    assert (result.code, result.out) == (0, "whole\n")
    after = contents(RunFolder(elsewhere / "whole"))
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] != before[name]] == ["run.json"]  # it says where it came from
    assert nano("--runs", str(elsewhere), "runs", "verify").code == 0
    assert contents(run) == before
    assert [path.name for path in (private(elsewhere) / "incoming").iterdir()] == []


def test_stock_tar_lists_and_reads_it(sound: RunFolder, packed: Path) -> None:
    with tarfile.open(packed) as tar:
        names = tar.getnames()
        assert names[0] == archive.NAME and set(names[1:]) == contents(sound).keys()
        read = tar.extractfile("metrics.jsonl")
        assert read is not None and read.read() == sound.metrics_file.read_bytes()
    done = subprocess.run(["tar", "-tf", packed], capture_output=True, text=True, check=True)
    assert done.stdout.split() == names


def test_an_import_may_take_another_name_and_never_one_that_is_taken(nano: Nano, run: RunFolder, packed: Path) -> None:
    before = contents(run)
    refused = nano("runs", "import", str(packed))
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "a run or file named 'whole' exists already; choose another name with --as" in refused.err
    assert nano("runs", "import", str(packed), "--as", "../up").code == 2
    assert nano("runs", "import", str(packed), "--as", "copy", "--json").data["run"] == "copy"
    assert contents(run) == before
    assert nano("runs", "show", "copy", "--json").data["run"]["imported"]["run"] == "whole"


def test_what_is_damaged_stays_behind_and_is_named(run: RunFolder, nano: Nano, tmp_path: Path) -> None:
    damage(run, 30)
    (run.exports_dir / "maps.mhc").write_bytes(b"mapS")
    (run.samples_dir / "link").symlink_to("/etc/passwd")
    (run.checkpoints_dir / ".step-00000040.tmp-9").mkdir()
    result = nano("runs", "export", run.name, str(tmp_path / "r.tar"), "--json")
    left = result.data["left_out"]
    assert "altered" in left["checkpoints/step-00000030/model.safetensors"]
    assert "altered" in left["exports/maps.mhc"] and left["samples/link"] == "is no plain file"
    again = unpack_run(tmp_path / "elsewhere", tmp_path / "r.tar")
    assert sorted(path.name for path in again.checkpoints_dir.iterdir()) == ["step-00000010", "step-00000020"]


def test_places_and_runs_that_cannot_be_packed_are_refused_and_nothing_is_written(
    run: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "there.tar").write_text("mine")
    for place in ("there.tar", "run.zip", "no/run.tar", f"runs/{run.name}/exports/run.tar"):
        with pytest.raises(UsageError):
            pack_run(run, tmp_path / place)
    lock = acquire(run)
    with pytest.raises(BusyError):
        pack_run(run, tmp_path / "run.tar")
    lock.release()
    (run.samples_dir / "\x1b]0;title\x07").write_text("x")
    with pytest.raises(UsageError, match="steer a terminal"):
        pack_run(run, tmp_path / "run.tar")
    (run.samples_dir / "\x1b]0;title\x07").unlink()
    run.config_file.write_text("[")
    with pytest.raises(UsageError, match=r"its config\.toml is broken"):
        pack_run(run, tmp_path / "run.tar")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["there.tar"]


def test_a_run_that_died_elsewhere_is_no_run_at_work_here(run: RunFolder, tmp_path: Path) -> None:
    status = Status(state="running", phase="training", step=30, attempt=1, host="another", pid=77, boot_id="b")
    run.run_file.touch()
    write_document(run.status_file, msgspec.structs.replace(status, host=os.uname().nodename))
    pack_run(run, tmp_path / "run.tar")
    state = observe(unpack_run(tmp_path / "elsewhere", tmp_path / "run.tar"))
    assert (state.state, state.at_work) == ("crashed", False)
    assert "before it was packed" in state.reason


class Forged:
    """An archive whose list of files and members say what a test wants."""

    def __init__(self, packed: Path) -> None:
        self.parts: list[tuple[Member, bytes]] = []
        with packed.open("rb") as file:
            while (member := read_member(file, "x")) is not None:
                self.parts.append((member, file.read(member.size)))
                file.read(padding(member.size))
        self.contents = archive.decode(self.parts[0][1], "x")

    def write(self, path: Path, files: list[PackedFile], *more: tuple[Member, bytes], run: str = "whole") -> Path:
        """With the list `files`, the true members of it, and `more`."""
        table = archive.encode(Contents(run, "", 0.0, files))
        by_name = {member.name: (member, data) for member, data in self.parts[1:]}
        members = [by_name[file.name] for file in files if file.name in by_name]
        path.write_bytes(packed_of((Member(archive.NAME, len(table)), table), *members, *more))
        return path


def packed_of(*members: tuple[Member, bytes]) -> bytes:
    parts = [header(member) + data + bytes(padding(len(data))) for member, data in members]
    return b"".join(parts) + END


def listed(name: str, data: bytes = b"x") -> PackedFile:
    import hashlib

    return PackedFile(name, len(data), hashlib.sha256(data).hexdigest())


HOSTILE_NAMES = {
    "../up": "leads out",
    "samples/../../up": "leads out",
    "/etc/cron": "absolute",
    "samples//x": "empty",
    "samples/.": "hidden",
    "checkpoints/.step-1": "hidden",
    "LOCK": "no part of a run",
    "control/stop": "no part of a run",
    "evil.py": "no part of a run",
    "notes.d": "no part of a run",
    "samples/\x1b]52;c;x\x07": "steer a terminal",
    "samples/\u202egnp": "steer a terminal",
    "samples/a\nb": "steer a terminal",
    "samples/" + "d/" * 9 + "x": "too long",
    "samples/" + "n" * 230: "too long",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_path_that_cannot_lie_in_a_run_is_refused_before_anything_is_written(
    name: str, packed: Path, tmp_path: Path
) -> None:
    forged = Forged(packed)
    entry = listed(name)
    path = forged.write(tmp_path / "bad.tar", [*forged.contents.files, entry])
    with pytest.raises(FormatError, match=HOSTILE_NAMES[name]) as caught:
        unpack_run(tmp_path / "elsewhere", path)
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "elsewhere").exists()


def longer(path: Path, more: bytes = b"x" * 512) -> Path:
    """A file with something behind its end."""
    path.write_bytes(path.read_bytes() + more)
    return path


LIES: dict[str, tuple[Callable[[Forged, Path], Path], str]] = {
    "twice in the list": (lambda f, p: f.write(p, [*f.contents.files, f.contents.files[0]]), "holds a file twice"),
    "inside a file": (lambda f, p: f.write(p, [*f.contents.files, listed("samples/step-00000030.txt/x")]), "inside a file"),
    "missing": (lambda f, p: f.write(p, [*f.contents.files, listed("samples/x")]), "ends where its list has 'samples/x'"),
    "too many": (
        lambda f, p: f.write(p, f.contents.files, (Member("samples/x", 1), b"x")), "'samples/x', which is not in its list"
    ),
    "traversal behind the list": (
        lambda f, p: f.write(p, f.contents.files, (Member("../x", 1), b"x")), "which is not in its list"
    ),
    "another size": (
        lambda f, p: f.write(p, [*f.contents.files[:-1], msgspec.structs.replace(f.contents.files[-1], bytes=3)]),
        "where its list has",
    ),
    "another content": (
        lambda f, p: f.write(p, [*f.contents.files[:-1], msgspec.structs.replace(f.contents.files[-1], sha256="0" * 64)]),
        "was altered",
    ),
    "no hash": (
        lambda f, p: f.write(p, [*f.contents.files[:-1], msgspec.structs.replace(f.contents.files[-1], sha256="../x")]),
        "has no hash",
    ),
    "a bomb that says so": (
        lambda f, p: f.write(p, [*f.contents.files, PackedFile("samples/x", 2**40, "0" * 64)]), "claims 1099"
    ),
    "something behind its end": (lambda f, p: longer(f.write(p, f.contents.files)), "goes on behind its end"),
    "the name of the run": (lambda f, p: f.write(p, f.contents.files, run="../../up"), "names no run"),
    "zeros that are no whole block": (lambda f, p: longer(f.write(p, f.contents.files), bytes(513)), "behind its end"),
    "zeros without end": (lambda f, p: longer(f.write(p, f.contents.files), bytes(1 << 20)), "behind its end"),
    "no configuration": (
        lambda f, p: f.write(p, [each for each in f.contents.files if each.name != "config.toml"]), "its config.toml is broken"
    ),
    "a checkpoint without its manifest": (
        lambda f, p: f.write(p, [e for e in f.contents.files if e.name != "checkpoints/step-00000010/manifest.json"]),
        "its checkpoints/step-00000010 is broken",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_an_archive_that_lies_is_refused_whole(name: str, packed: Path, tmp_path: Path) -> None:
    forge, reason = LIES[name]
    path = forge(Forged(packed), tmp_path / "bad.tar")
    with pytest.raises(FormatError) as caught:
        unpack_run(tmp_path / "elsewhere", path)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.fix and str(tmp_path) not in str(caught.value)
    assert nothing_made(tmp_path / "elsewhere")


@pytest.mark.parametrize(("name", "text"), [("config.toml", b"a = ["), ("notes.toml", b"a = ["), ("run.json", b"{")])
def test_a_broken_document_is_named_inside_its_archive(name: str, text: bytes, packed: Path, tmp_path: Path) -> None:
    forged, bad = Forged(packed), tmp_path / "bad.tar"
    files = [each for each in forged.contents.files if each.name != name]
    table = archive.encode(Contents("whole", "", 0.0, [*files, listed(name, text)]))
    members = [part for part in forged.parts[1:] if part[0].name != name]
    bad.write_bytes(packed_of((Member(archive.NAME, len(table)), table), *members, (Member(name, len(text)), text)))
    with pytest.raises(FormatError) as caught:
        unpack_run(tmp_path / "elsewhere", bad)
    assert str(caught.value).startswith(f"bad.tar: its {name} is broken: ") and "mend the run" in caught.value.fix
    assert str(tmp_path) not in str(caught.value) and nothing_made(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.DIRTYPE, "a folder of its own"),
    ],
)
def test_links_devices_and_pipes_are_refused(kind: bytes, words: str, packed: Path, tmp_path: Path) -> None:
    forged = Forged(packed)
    raw = forged.write(tmp_path / "x.tar", [*forged.contents.files, listed("samples/x", b"")]).read_bytes()
    info = tarfile.TarInfo("samples/x")
    info.type, info.linkname = kind, "/etc/passwd"
    bad = tmp_path / "bad.tar"
    bad.write_bytes(raw[: -len(END)] + info.tobuf(tarfile.USTAR_FORMAT) + END)
    with pytest.raises(FormatError, match=words):
        unpack_run(tmp_path / "elsewhere", bad)
    assert nothing_made(tmp_path / "elsewhere")


def test_extended_headers_of_another_tar_are_refused(packed: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("nanoconsole-run.json")
        info.pax_headers = {"comment": "x" * 5000}
        tar.addfile(info)
    (tmp_path / "bad.tar").write_bytes(buffer.getvalue())
    with pytest.raises(FormatError, match="extended header"):
        unpack_run(tmp_path / "elsewhere", tmp_path / "bad.tar")


@pytest.mark.parametrize("options", [(), ("-z",), ("-b", "512")])
def test_the_files_of_one_packed_by_gnu_tar_are_a_run_too(
    options: tuple[str, ...], sound: RunFolder, packed: Path, tmp_path: Path
) -> None:
    """It fills its last record with zeros: 10 KiB, or as many blocks as -b says."""
    files, again = tmp_path / "files", tmp_path / "again.tar"
    files.mkdir()
    subprocess.run(["tar", "-xf", packed, "-C", files], check=True)
    names = subprocess.run(["tar", "-tf", packed], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["tar", "--format=ustar", *options, "-cf", again, "-C", files, *names], check=True)
    assert contents(unpack_run(tmp_path / "elsewhere", again)).keys() == contents(sound).keys()
    subprocess.run(["tar", "--format=gnu", "-cf", again, "-C", files, *names], check=True)
    with pytest.raises(FormatError, match=r"another tar format.*; pack the run with .* or .*--format=ustar"):
        unpack_run(tmp_path / "other", again)


def test_what_unpacks_to_more_than_200_times_its_size_is_refused(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run passes where it is packed less tightly; the true limit begins at 64 MiB, which are slow to write."""
    (run.samples_dir / "zeros").write_bytes(bytes(4 << 20))
    raw = pack_run(run, tmp_path / "run.tar").path.read_bytes()
    loose, tight = tmp_path / "loose.tgz", tmp_path / "tight.tgz"
    loose.write_bytes(gzip.compress(raw, 0))
    tight.write_bytes(gzip.compress(raw, 9))
    assert tight.stat().st_size * unpack.MOST_RATIO < len(raw) - (1 << 20)
    unpack_run(tmp_path / "small", tight)
    monkeypatch.setattr(unpack, "SMALL", 1 << 20)
    unpack_run(tmp_path / "large", loose)
    with pytest.raises(FormatError, match=r"claims \d+ bytes in \d+, which no run is; pack the run as \.tar"):
        unpack_run(tmp_path / "bomb", tight)
    assert nothing_made(tmp_path / "bomb")


def test_a_stream_that_gives_more_than_its_list_says_is_cut_short(packed: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tar.gz"
    with gzip.open(bad, "wb", 9) as file:
        file.write(packed.read_bytes()[: -len(END)])
        file.write(header(Member("samples/x", 16 << 20)))
        for _ in range(16):
            file.write(bytes(1 << 20))
    with pytest.raises(FormatError, match="not in its list"):
        unpack_run(tmp_path / "elsewhere", bad)
    assert nothing_made(tmp_path / "elsewhere")


def test_a_disk_without_room_is_told_before_anything_is_unpacked(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(ResourceError, match="0 MiB are free"):
        unpack_run(tmp_path / "elsewhere", packed)
    assert nothing_made(tmp_path / "elsewhere")


def test_a_name_that_was_claimed_meanwhile_stays_with_whoever_did(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launch makes its folder first and fills it then; a rename would replace the empty folder."""
    root = tmp_path / "elsewhere"
    monkeypatch.setattr(unpack, "_settle", lambda run, contents: (root / "whole").mkdir())
    with pytest.raises(UsageError, match="a run or file named 'whole' exists already"):
        unpack_run(root, packed)
    assert list((root / "whole").iterdir()) == [] and nothing_made(root)


@pytest.mark.parametrize("zipped", quick((False, True), True))
def test_one_flipped_bit_anywhere_is_found_or_changes_nothing(
    packed: Path, sound: RunFolder, tmp_path: Path, zipped: bool
) -> None:
    raw = gzip.compress(packed.read_bytes(), 1, mtime=0) if zipped else packed.read_bytes()
    bad, before, survived = tmp_path / "bad", contents(sound), 0
    for place in range(0, len(raw), len(raw) // 16):
        bad.write_bytes(raw[:place] + bytes([raw[place] ^ 1 << place % 8]) + raw[place + 1 :])
        root = tmp_path / f"at-{place}"
        try:
            after = contents(unpack_run(root, bad))
        except NanoError:
            assert nothing_made(root)
            continue
        survived += 1
        assert {name for name in before if after[name] != before[name]} == {"run.json"}
    assert survived == 0 or zipped  # the header of gzip holds bytes that mean nothing


def test_an_import_that_was_killed_is_swept_by_a_later_one(packed: Path, tmp_path: Path) -> None:
    root = tmp_path / "elsewhere"
    dead, young = private(root) / "incoming" / "dead", private(root) / "incoming" / "young"
    for folder in (dead, young):
        (folder / "run").mkdir(parents=True)
    for path in (dead / "run", dead):
        os.utime(path, (1, 1))
    unpack_run(root, packed)
    assert (dead.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"\x1f\x8b", b"\x1f\x8bxxxxxxxxxxxx", b"PK\3\4", b"x" * 600])
def test_what_is_no_archive_is_one_line(content: bytes, nano: Nano, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    result = nano("runs", "import", str(tmp_path / "x.tar"))
    assert (result.code, result.err.count("\n")) == (2, 1)
    os.mkfifo(tmp_path / "pipe.tar")
    assert nano("runs", "import", str(tmp_path / "pipe.tar")).code == 2
    for name, advice in (("none.tar", "check the path"), ("", "name a file that nanoconsole runs export wrote")):
        refused = nano("runs", "import", str(tmp_path / name))
        assert (refused.code, refused.err.count("\n")) == (2, 1) and advice in refused.err


def test_a_size_beyond_octal_is_read_as_it_is_written() -> None:
    big = Member("exports/x.gguf", 9 << 30)
    assert read_member(io.BytesIO(header(big)), "x") == big
    assert tarfile.TarInfo.frombuf(header(big), "utf-8", "strict").size == big.size
    long = Member("exports/" + "a" * 99 + "/" + "b" * 90, 1)
    assert read_member(io.BytesIO(header(long)), "x") == long


@pytest.mark.slow
def test_an_imported_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    from tests.tiny import new_run, train

    run = new_run(tmp_path / "runs", "checkpoint.keep_last=9")
    assert train(run) == 0
    final = step_folder(run.checkpoints_dir, 12)
    wanted = {name: (final / name).read_bytes() for name in ("model.safetensors", "optim.safetensors")}
    for step in (8, 12):
        remove(step_folder(run.checkpoints_dir, step))
    pack_run(run, tmp_path / "run.tar.gz")
    moved = unpack_run(tmp_path / "elsewhere", tmp_path / "run.tar.gz")
    assert train(moved) == 0
    again = step_folder(moved.checkpoints_dir, 12)
    assert {name: (again / name).read_bytes() for name in wanted} == wanted
