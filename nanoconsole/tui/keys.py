"""Every key of the console in one table. Dispatch, key bar, help and command palette are all made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True)
class Key:
    """One action: `keys` as Textual names them, `shown` as a person reads them.

    `scope` is the screen, the part of it ("presets", "form", "value", "charts", "log"), the dialog or "app" that has
    the action; `bar` says whether the key bar shows it, and in which order (0: only in help and palette). Without keys
    it is reached from the palette alone.
    """

    scope: str
    keys: str
    shown: str
    action: str
    label: str
    help: str
    bar: int = 0
    priority: bool = False


PANES = ("presets", "form", "value")  # scopes of a widget inside a screen
PARTS = {"launch": PANES, "live": ("charts", "log")}  # scopes inside a screen, of which some are in force at a time

LAST = 90  # from this place on, keys stand at the end of the key bar, and always
TABLE: tuple[Key, ...] = (
    Key("runs", "enter", "enter", "open", "Open", "Open the run under the cursor in Live.", 1),
    Key("runs", "l", "l", "app.show('launch')", "Launch", "Choose a preset, change it, launch it.", 2),
    Key("runs", "p", "p", "pause", "Pause", "Pause the run, or let a paused one go on.", 3),
    Key("runs", "k", "k", "checkpoint", "Save", "Save a checkpoint now.", 5),
    Key("runs", "S", "S", "stop", "Stop", "Stop the run: four ways, explained before you choose.", 4),
    Key("runs", "r", "r", "resume", "Resume", "Continue a stopped or crashed run from its newest checkpoint.", 6),
    Key("presets", "enter", "enter", "select", "Launch", "Launch the preset under the cursor, with your changes.", 1),
    Key("launch", "ctrl+l", "^l", "launch", "Launch", "Launch the configuration shown.", 2, priority=True),
    Key("launch", "ctrl+s", "^s", "save", "Save", "Save a file in place, or your own preset.", 3, priority=True),
    Key("launch", "slash", "/", "search", "Search", "Search the form by key or meaning.", 4),
    Key("launch", "tab", "tab", "app.focus_next", "Next pane", "Go to the next pane.", 5),
    Key("form", "enter", "enter", "edit", "Edit", "Edit the value under the cursor; a switch changes at once.", 1),
    Key("form", "space", "space", "switch", "Switch", "Change a switch or go to the next choice."),
    Key("form", "left", "←→", "choose(-1)", "Choose", "Choose among the allowed values.", 2),
    Key("form", "right", "→", "choose(1)", "", "The next allowed value."),
    Key("form", "u,delete", "u", "undo", "Undo", "Give the value back the one of the preset.", 3),
    Key("form", "up", "↑", "move(-1)", "", "The field above."),
    Key("form", "down", "↓", "move(1)", "", "The field below."),
    Key("form", "pageup", "PgUp", "move(-10)", "", "Ten fields up."),
    Key("form", "pagedown", "PgDn", "move(10)", "", "Ten fields down."),
    Key("form", "home", "Home", "move(-10000)", "", "The first field."),
    Key("form", "end", "End", "move(10000)", "", "The last field."),
    Key("form", "n", "n", "next_problem", "Next fault", "Go to the next value that is refused."),
    Key("value", "enter", "enter", "submit", "Done", "Keep what is typed.", 1),
    Key("value", "escape", "esc", "app.step_out", "Cancel", "Leave the line; an edited value is as it was.", 2),
    Key("live", "p", "p", "pause", "Pause", "Pause the run, or let a paused one go on.", 1),
    Key("live", "S", "S", "stop", "Stop", "Stop the run: four ways, explained before you choose.", 2),
    Key("live", "k", "k", "checkpoint", "Save", "Save a checkpoint now.", 3),
    Key("live", "r", "r", "resume", "Resume", "Continue a stopped or crashed run from its newest checkpoint.", 4),
    Key("live", "F", "F", "fire", "FIRE", "Reinitialise the matrices of fire.parameters now; it asks before."),
    Key("live", "t", "t", "text", "Text", "Show log and newest sample instead of the charts, and back.", 5),
    Key("charts", "z", "z", "zoom", "Zoom", "Give the whole space to one chart, and back.", 1),
    Key("charts", "tab", "tab", "chart(1)", "Chart", "Go to the next chart.", 2),
    Key("charts", "shift+tab", "⇧tab", "chart(-1)", "", "Go to the previous chart."),
    Key("charts", "x", "x", "axis", "Axis", "Change the x axis: steps, tokens, time of training.", 4),
    Key("charts", "y", "y", "log_scale", "Log", "Switch the y axes between linear and logarithmic.", 5),
    Key("charts", "s", "s", "smoothing", "Smooth", "Change smoothing: off, EMA 0.6, 0.9, 0.97.", 6),
    Key("charts", "m", "m", "technique", "Technique", "Show the next technique in the chart of techniques.", 3),
    Key("log", "f", "f", "follow", "Follow", "Follow the end of the log, or stay where you are.", 1),
    Key("log", "tab", "tab", "app.focus_next", "Log, sample", "Go from log to sample and back; arrows scroll.", 2),
    Key("stop", "enter", "enter", "choose", "Choose", "Do what stands under the cursor.", 1),
    Key("stop", "escape,q", "esc", "dismiss", "Leave it running", "Close the dialog; the run stays as it is.", 2),
    Key("fire", "enter", "enter", "choose", "Choose", "Do what stands under the cursor.", 1),
    Key(
        "fire", "escape,q", "esc", "dismiss", "Leave the weights", "Close the dialog; the weights stay as they are.", 2
    ),
    Key("save preset", "enter", "enter", "next", "Save", "Go to the next line, or save.", 1),
    Key("save preset", "tab", "tab", "app.focus_next", "Other line", "Go to the other line.", 2),
    Key("save preset", "escape", "esc", "dismiss", "Cancel", "Close the dialog and save nothing.", 3),
    Key("help", "escape,question_mark,f1,q", "esc", "dismiss", "Close", "Close the help.", 1),
    Key("app", "1", "1", "show('runs')", "Runs", "The list of runs."),
    Key("app", "2", "2", "show('launch')", "Launch", "Presets and the configuration editor."),
    Key("app", "3", "3", "show('live')", "Live", "The run being watched."),
    Key("app", "escape", "esc", "step_out", "Back", "Step out: close a dialog, leave a field, go back to Runs."),
    Key("app", "question_mark,f1", "?", "help", "Help", "What this screen shows and every key.", 90),
    Key("app", "ctrl+p", "^p", "command_palette", "Commands", "Find any action by its name."),
    Key(
        "app",
        "P",
        "P",
        "picture",
        "Picture",
        "Save this screen as SVG: in Live with the run, else in your data folder.",
    ),
    Key("app", "", "", "next_theme", "Next theme", "Change the colours: dark, or safe for colour-blind eyes."),
    Key("app", "q,ctrl+q", "q", "leave", "Leave", "Leave the console. Training goes on.", 99),
)


def of(*scopes: str) -> list[Key]:
    """The table's rows of some scopes, in order."""
    return [key for key in TABLE if key.scope in scopes]


def bindings(scope: str) -> list[Binding]:
    """Textual bindings of a scope; the key bar is our own, so none is shown by Textual."""
    return [
        Binding(key.keys, key.action, key.label or key.help, show=False, priority=key.priority)
        for key in of(scope)
        if key.keys
    ]


def bar(scopes: Iterable[str]) -> list[Key]:
    """What the key bar shows for scopes given from the innermost out: an inner key hides the same key further out.

    In a line of text, a key that is one character is typed there and does nothing else.
    """
    scopes = list(scopes)
    seen = {key.shown for key in TABLE if len(key.shown) == 1} if "value" in scopes else set()
    found: list[Key] = []
    for scope in scopes:
        own = [
            key for key in of(scope) if key.bar and key.shown not in seen and key.label not in {k.label for k in found}
        ]
        seen |= {key.shown for key in of(scope)}
        found += sorted(own, key=lambda key: key.bar)
    return sorted(found, key=lambda key: key.bar >= LAST)
