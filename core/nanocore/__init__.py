"""The training core. For Python users: `load`, `train` and `export`; importing this imports no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanocore.api.export import export as export
    from nanocore.api.model import Model as Model
    from nanocore.api.model import load as load
    from nanocore.api.training import TrainingRun as TrainingRun
    from nanocore.api.training import train as train
    from nanocore.infer.request import Completion as Completion

__all__ = ("Completion", "Model", "TrainingRun", "export", "load", "train")
_PLACES = {
    "Completion": "nanocore.infer.request",
    "Model": "nanocore.api.model",
    "TrainingRun": "nanocore.api.training",
    "load": "nanocore.api.model",
}


def __getattr__(name: str) -> Any:
    if name in ("export", "train"):  # packages that can be called
        return import_module(f"nanocore.{name}")
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'nanocore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
