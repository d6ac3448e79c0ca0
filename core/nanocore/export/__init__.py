"""Models as files that other programs read: GGUF, Hugging Face folders, and the earlier system's .mhc side file."""

from nanocore.api.callable_module import make_callable

make_callable(__name__, "nanocore.api.export:export")
