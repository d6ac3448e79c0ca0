"""`nanoconsole runs export` and `import`: a whole run as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanoconsole.cli.options import Json, Run, Runs, examples
from nanoconsole.cli.output import emit, say, tell

Archive = Annotated[Path, typer.Argument(metavar="FILE", help="An archive, as NAME.tar or NAME.tar.gz.")]
As = Annotated[str, typer.Option("--as", metavar="NAME", help="Name of the run here, instead of its own.")]


def register(group: typer.Typer) -> None:
    packing = ("runs export tiny-cpu-0001 first.tar.gz", "runs export tiny-cpu-0001 /backup/first.tar")
    group.command("export", epilog=examples(*packing))(pack)
    group.command("import", epilog=examples("runs import first.tar.gz", "runs import first.tar.gz --as first-2"))(
        unpack
    )


def pack(run: Run, file: Archive, runs: Runs = None, json: Json = False) -> None:
    """Pack a run that nobody works on into one archive.

    Everything in it but its lock: configuration, records, checkpoints, samples, exports, notes; .tar.gz is compressed, which
    makes records small and weights little smaller. Damaged checkpoints and exports stay behind and are named.
    """
    from nanocore.runs.layout import find_run, run_root
    from nanocore.runs.pack import pack_run

    packed = pack_run(find_run(run_root(runs), run), file.expanduser().absolute())
    for name, reason in packed.left_out.items():
        say(f"left out: {name}: {reason}")
    if json:
        return emit({"run": run, "path": str(packed.path), "files": packed.files, "bytes": packed.bytes, "left_out": packed.left_out})  # fmt: skip
    return tell(str(packed.path))


def unpack(file: Archive, name: As = "", runs: Runs = None, json: Json = False) -> None:
    """Make a run of an archive, from this machine or another.

    Every path is checked before anything is written, every file against its hash, and the run as `runs verify` does; it then
    appears as a whole or not at all. Its configuration names files of the machine it comes from: look at it before you
    resume.
    """
    from nanocore.runs.layout import run_root
    from nanocore.runs.unpack import unpack_run

    run = unpack_run(run_root(runs), file.expanduser().absolute(), name=name)
    return emit({"run": run.name, "path": str(run.path)}) if json else tell(run.name)
