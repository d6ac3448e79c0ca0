"""Keys of Live: on the whole screen, on its charts, on its log."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
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
)
