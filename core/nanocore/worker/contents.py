"""Worker verb `inspect`: what is inside a run's checkpoint or a file, `source` and `step`."""

from __future__ import annotations

from pathlib import Path

from nanocore.infer.locate import refuse_empty
from nanocore.worker.channel import Channel, Record
from nanocore.worker.source import located

TENSOR_FILES = (".mhc", ".safetensors")  # tensors that are no model by themselves


def inspect(request: Record, channel: Channel) -> None:
    path, step = Path(request["source"]), request.get("step", "latest")
    if path.suffix in TENSOR_FILES and not path.is_dir() and step == "latest":
        refuse_empty(path)
        from nanocore.infer.tensor_files import tensor_file

        return channel.answer({"kind": "done", "contents": tensor_file(path).table()})
    source = located(request, channel)
    from nanocore.infer.contents import contents

    return channel.answer({"kind": "done", "contents": contents(source).table()})
