"""Check: what is saved comes back bit for bit, computes the same, and is refused once a bit of it is flipped."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nanocore.checkpoint.manifest import verify
from nanocore.checkpoint.state import MODEL, load_checkpoint, save_checkpoint
from nanocore.errors import CheckpointError
from nanocore.infer.load import load_model
from nanocore.validation.outcome import Failed, Found, expect
from nanocore.validation.tables import small_config
from nanocore.validation.tiny import BYTES, tiny_model
from nanocore.validation.workshop import Workshop


@torch.no_grad()
def check(workshop: Workshop) -> Found:
    model, optimizer = tiny_model(5), {"momentum": torch.randn(7, generator=torch.Generator().manual_seed(1))}
    state = {"config": small_config().model_dump(mode="json")}
    weights = dict(model.state_dict())
    path = save_checkpoint(
        workshop.new_run("checkpoint"),
        7,
        model=weights,
        optimizer=optimizer,
        state=state,
        tokenizer_json=BYTES.to_json(),
    )
    loaded = load_checkpoint(path)
    expect(loaded.step == 7, f"step {loaded.step}", "step 7")
    _same(weights, loaded.model)
    _same(optimizer, loaded.optimizer)
    tokens = torch.arange(8)[None]
    again, _, _ = load_model(path)
    expect(torch.equal(model(tokens), again(tokens)), "another output of the loaded model", "the same bits")
    _refused(path)
    size = sum(tensor.nbytes for tensor in weights.values())
    return Found(f"{len(weights)} tensors, {size >> 10} KiB equal", "same bits, same output, a flipped bit refused")


def _same(saved: dict[str, Tensor], loaded: dict[str, Tensor]) -> None:
    expect(saved.keys() == loaded.keys(), f"{sorted(loaded)[:4]}", f"{sorted(saved)[:4]}")
    wrong = [name for name, tensor in saved.items() if not torch.equal(tensor, loaded[name])]
    expect(not wrong, f"{len(wrong)} tensors differ, first {wrong[:1]}", "every tensor bit for bit")


def _refused(path: Path) -> None:
    """Flip one bit of the weights."""
    file = path / MODEL
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    expect(bool(verify(path)), "a flipped bit was not noticed", "the hash of the manifest to differ")
    try:
        load_checkpoint(path)
    except CheckpointError:
        return
    raise Failed("a damaged checkpoint was loaded", "a refusal")
