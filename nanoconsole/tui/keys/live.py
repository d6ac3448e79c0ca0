"""Keys of Live: on the whole screen and on its log; those of its charts are in `charts`."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("live", "p", "p", "pause", "Pause", "Pause the run, or let a paused one go on.", 1),
    Key("live", "S", "S", "stop", "Stop", "Stop the run: four ways, explained before you choose.", 2),
    Key(
        "live",
        "k",
        "k",
        "checkpoint",
        "Save",
        "Save a checkpoint now, kept as checkpoint.keep_last, keep_every and keep_best say.",
        3,
    ),
    Key("live", "r", "r", "resume", "Resume", "Continue a stopped or crashed run from its newest checkpoint.", 4),
    Key(
        "live",
        "K",
        "K",
        "checkpoints",
        "Checkpoints",
        "The checkpoints of the run: chat, fork, export, resume, delete.",
    ),
    Key("live", "c", "c", "chat", "Chat", "Talk with the newest checkpoint of the run."),
    Key("live", "a", "a", "sample", "Sample", "Let the trainer write a text now; it is shown in the text view (t)."),
    Key(
        "live",
        "T",
        "T",
        "tensorboard",
        "TensorBoard of this run: start, end",
        "Serve the run's TensorBoard to browsers of this machine (port 6006 or the next free one), or end that.",
    ),
    Key("live", "F", "F", "fire", "FIRE", "Reinitialise the matrices of fire.parameters now; it asks before."),
    Key("live", "t", "t", "text", "Text", "Show log and newest sample instead of the charts, and back.", 5),
    Key(
        "live charts",
        "m",
        "m",
        "technique",
        "More",
        "The next chart in the third place: techniques, rates, times ...",
        1,
    ),
    Key("log", "f", "f", "follow", "Follow", "Follow the end of the log, or stay where you are.", 1),
    Key("log", "tab", "tab", "app.focus_next", "Log, sample", "Go from log to sample and back; arrows scroll.", 2),
)
