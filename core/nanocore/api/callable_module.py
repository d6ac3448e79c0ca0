"""`nanocore.train` and `nanocore.export` are packages, and functions of the same names.

Importing a submodule sets it as attribute of its package, so a function of that name would vanish with the first import of
`nanocore.train.anything`. The packages therefore can be called themselves.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A package that passes calls on to the function `calls`, "module:function", imported then."""

    calls: str

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        module, _, function = self.calls.partition(":")
        return getattr(import_module(module), function)(*arguments, **keywords)


def make_callable(package: str, calls: str) -> None:
    """Let the package be called."""
    module = sys.modules[package]
    module.__class__ = CallableModule
    module.calls = calls  # pyright: ignore[reportAttributeAccessIssue]
