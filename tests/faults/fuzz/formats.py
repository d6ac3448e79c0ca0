"""Every format that somebody may hand us: sound samples of it, and the reader that they are damaged for."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nanocore.checkpoint.choose import best, held_out_losses
from nanocore.checkpoint.manifest import verify
from nanocore.config.toml import load
from nanocore.data.byte_level import read_tokenizer_file
from nanocore.data.tokenizer import from_json
from nanocore.errors import CheckpointError
from nanocore.runs.control import Inbox
from nanocore.runs.integrity import verify_run
from nanocore.runs.layout import RunFolder, queue_dir
from nanocore.runs.log import last_lines
from nanocore.runs.notes import read_notes
from nanocore.runs.pack import pack_run
from nanocore.runs.queue import Entry, add, read_queue
from nanocore.runs.records import read_all
from nanocore.runs.status import next_attempt
from nanocore.runs.summary import export_json
from nanocore.runs.unpack import unpack_run
from tests import resealed
from tests.faults.fuzz.mutate import mutated
from tests.whole_run import whole_run

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Format:
    """`path` is a sound file or folder, `files` those of its files that are damaged, `read` what reads it; `reseal` puts
    hashes right again, so that the damage is met by what lies behind them. `tolerant`: it raises nothing, whatever it meets.
    """

    name: str
    path: Path
    files: tuple[str, ...]
    read: Read
    reseal: Read | None = None
    tolerant: bool = False

    def damage(self, place: Path, chance: random.Random) -> Path:
        """A damaged copy in the folder `place`."""
        target = place / self.path.name
        if self.path.is_file():
            target.write_bytes(mutated(self.path.read_bytes(), chance))
        else:
            if not target.exists():
                shutil.copytree(self.path, target)
            for name in self.files:
                (target / name).write_bytes((self.path / name).read_bytes())
            file = target / chance.choice(self.files)
            file.write_bytes(mutated(file.read_bytes(), chance))
        if self.reseal is not None and chance.random() < 0.7:
            self.reseal(target)
        return target


def light(folder: Path) -> list[Format]:
    """Formats read without torch."""
    runs = folder / "runs"
    run = whole_run(runs)
    shutil.copy(Path(__file__).parents[3] / "presets" / "tiny-cpu.toml", folder / "preset.toml")
    shutil.copy(run.config_file, folder / "whole.toml")
    archive = pack_run(run, folder / "run.tar").path
    add(runs, [Entry(run.name)])
    (run.control_dir / "stop").write_bytes(b'{"schema":1,"attempt":1,"sent":1.0,"arguments":{"step":3}}')
    files = ("run.json", "status.json", "metrics.jsonl", "events.jsonl", "notes.toml", "stdout.log", "control/stop")
    place = "checkpoints/step-00000020/manifest.json"
    return [
        Format("toml, a preset", folder / "preset.toml", (), load),
        Format("toml, every key", folder / "whole.toml", (), load),
        Format("run folder", run.path, (*files, place), _read_run, tolerant=True),
        Format("manifest", run.checkpoints_dir / "step-00000020", ("manifest.json",), verify, _reseal_manifest, True),
        Format("queue", queue_dir(runs), ("queue.json",), _read_queue),
        Format("archive", archive, (), _import),
    ]


def heavy(folder: Path) -> list[Format]:
    """Formats of weights and tokens, whose readers need torch."""
    from safetensors.torch import save_file

    from nanocore.export.gguf_read import read_gguf
    from nanocore.export.hf_read import read_hf
    from nanocore.export.hugging_face import export_hf
    from nanocore.export.mhc_file import read_mhc, write_mhc
    from nanocore.export.safetensors_read import read_safetensors
    from nanocore.infer.load import load_model
    from tests.exports import export, exported_model
    from tests.saved import BYTES, saved_run

    model = exported_model("model.n_layers=1", "mhc.streams=2")
    plain = exported_model("model.n_layers=1")
    export(model, folder / "model.gguf")
    export_hf(plain, BYTES, plain.config, folder / "hf")
    write_mhc(model, folder / "maps.mhc")
    (folder / "maps.mhc.sha256").unlink()
    save_file(plain.state_dict(), folder / "weights.safetensors")
    (folder / "tokenizer.json").write_text(_tokenizer())
    saved = saved_run(folder / "models", "model.n_layers=1").checkpoints_dir / "step-00000003"
    files = ("model.safetensors", "state.json", "tokenizer.json", "manifest.json")
    hf = ("nanoconsole.json", "config.json", "model.safetensors")
    return [
        Format("gguf", folder / "model.gguf", (), read_gguf, resealed.reseal_gguf),
        Format("hugging face", folder / "hf", hf, read_hf, resealed.reseal_folder),
        Format("safetensors", folder / "weights.safetensors", (), read_safetensors),
        Format("mhc", folder / "maps.mhc", (), read_mhc),
        Format("tokenizer.json", folder / "tokenizer.json", (), lambda path: from_json(read_tokenizer_file(path))),
        Format("checkpoint", saved, files, load_model, resealed.reseal_checkpoint),
    ]


def _read_run(path: Path) -> None:
    """Everything that lists, screens and verbs read of a run."""
    run = RunFolder(path)
    export_json(run), read_notes(run), next_attempt(run), held_out_losses(run), last_lines(run.log_file, 50)
    json.dumps(list(map(str, verify_run(run))))
    json.dumps(read_all(run.events_file))
    Inbox(run, 1).poll()
    try:
        best(run)
    except CheckpointError as error:
        assert "\n" not in str(error)


def _read_queue(path: Path) -> object:
    root = path.parent / "root"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(path, queue_dir(root))
    return read_queue(root)


def _import(path: Path) -> object:
    """A refused archive leaves nothing."""
    root = path.parent / "imported"
    shutil.rmtree(root, ignore_errors=True)
    try:
        return unpack_run(root, path)
    except Exception:
        left = (
            [each for each in root.rglob("*") if each.name not in (".nanoconsole", "incoming")] if root.exists() else []
        )
        assert left == []
        raise


def _reseal_manifest(path: Path) -> None:
    file = path / "manifest.json"
    file.write_bytes(resealed.reseal_json(file.read_bytes()))


def _tokenizer() -> str:
    from nanocore.data.bpe import train_bpe

    return train_bpe(["def add(a, b):\n    return a + b\n" * 20], 270).to_json()
