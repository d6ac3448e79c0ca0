"""The main screens in order: tabs, number keys and what the app opens are made from this table."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from textual.screen import Screen


@dataclass(frozen=True)
class Mode:
    """A main screen. Its module is imported when it is first shown, which keeps the first frame quick.

    `of_run` says that it shows the opened run: the newest one is opened where none is.
    """

    number: str
    name: str
    label: str
    help: str
    module: str
    screen: str
    of_run: bool = False

    def load(self) -> type[Screen[None]]:
        """The screen's class."""
        return getattr(import_module(f"nanoconsole.tui.screens.{self.module}"), self.screen)

    def open(self) -> Screen[None]:
        """A new screen."""
        return self.load()()


MODES: tuple[Mode, ...] = (
    Mode("1", "runs", "Runs", "The list of runs.", "runs", "RunsScreen"),
    Mode("2", "launch", "Launch", "Presets and the configuration editor.", "launch", "LaunchScreen"),
    Mode("3", "live", "Live", "The run being watched.", "live", "LiveScreen", of_run=True),
    Mode("4", "layers", "Layers", "What was measured of each layer.", "layers", "LayersScreen", of_run=True),
    Mode("5", "compare", "Compare", "Chosen runs in one chart.", "compare", "CompareScreen"),
    Mode("6", "samples", "Samples", "Texts the model wrote, by step.", "samples", "SamplesScreen", of_run=True),
    Mode("7", "chat", "Chat", "Talk with a checkpoint or a file, or with two.", "chat", "ChatScreen"),
    Mode("8", "validate", "Validate", "Checks that all parts work here.", "validate", "ValidateScreen"),
    Mode("9", "logs", "Log", "The whole log: searched, filtered, by step.", "log", "LogScreen", of_run=True),
)


def find(name: str) -> Mode:
    return next(mode for mode in MODES if mode.name == name)
