"""A run that has a bit of everything in it, made without torch in a moment."""

from __future__ import annotations

from pathlib import Path

from nanocore.config.schema import Config
from nanocore.export.sealed import write_beside
from nanocore.runs.create import create_run
from nanocore.runs.documents import write_document
from nanocore.runs.layout import RunFolder
from nanocore.runs.notes import change_notes
from nanocore.runs.records import RecordWriter
from nanocore.runs.status import Status
from tests.tui.checkpoint_scenes import save


def whole_run(root: Path, name: str = "whole") -> RunFolder:
    """Finished at step 30, with checkpoints of steps 10, 20 and 30, of which 20 is the best."""
    run = create_run(root, Config(), name=name, preset="tiny-cpu")
    metrics, events = RecordWriter(run.metrics_file), RecordWriter(run.events_file)
    for step in range(1, 31):
        held_out = {"eval/ce": abs(step - 20) / 10 + 1} if step % 10 == 0 else {}
        metrics.write({"step": step, "attempt": 1, "loss/ce": 3.0, "tokens": step, "elapsed": step / 2, **held_out})
    for kind in ("started", "checkpoint", "finished"):
        events.write({"kind": kind, "step": 30, "attempt": 1, "time": 1.0, "message": "é"})
    metrics.close()
    events.close()
    save(run, 10, 20, 30)
    run.sample_file(30).write_text("def mean(values):\n", encoding="utf-8")
    run.log_file.write_text("INFO  step 30\n", encoding="utf-8")
    (run.exports_dir / "maps.mhc").write_bytes(b"maps")
    write_beside(run.exports_dir / "maps.mhc")
    change_notes(run, add=["good"], note="kept")
    write_document(run.status_file, Status(state="finished", phase="ended", step=30, steps=30, attempt=1, exit_code=0))
    return run


def contents(run: RunFolder) -> dict[str, bytes]:
    """Every file of a run but its lock."""
    files = (path for path in sorted(run.path.rglob("*")) if path.is_file() and path != run.lock_file)
    return {str(path.relative_to(run.path)): path.read_bytes() for path in files}
