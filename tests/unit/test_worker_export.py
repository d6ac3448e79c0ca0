"""What the export worker refuses, it refuses before torch is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.saved import saved_run

PROGRAM = """
import json, sys
import nanocore.worker.export as export
from nanocore.errors import UsageError
try:
    export.export(json.loads(sys.argv[1]), None)
except UsageError as error:
    print(json.dumps([str(error), "torch" in sys.modules]))
"""


def refused(**request: object) -> str:
    """The refusal, which came without torch."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(request)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout, done.stderr
    message, loaded = json.loads(done.stdout)
    assert not loaded, message
    return message


def test_places_and_sources_are_refused_without_torch(tmp_path: Path) -> None:
    run = saved_run(tmp_path)
    (run.exports_dir / "saved-step-00000003.gguf").write_bytes(b"GGUF")
    assert "exists already" in refused(source=str(run.path))
    assert "no folder" in refused(source=str(run.path), output=str(tmp_path / "none" / "x.gguf"))
    file = run.exports_dir / "saved-step-00000003.gguf"
    assert "is a GGUF file already" in refused(source=str(file))
    assert "checkpoints" in refused(source=str(run.path), output=str(run.checkpoints_dir / "x"), force=True)
