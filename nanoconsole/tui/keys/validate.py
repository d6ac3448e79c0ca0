"""Keys of Validate."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("validate", "r", "r", "run", "Run", "Run the selected checks, or all where none is selected.", 1),
    Key("validate", "enter", "enter", "expand", "Expand", "Show what the check found, or hide it.", 2),
    Key("validate", "space", "space", "select", "Select", "Select the check, or no more, and go to the next one.", 3),
    Key("validate", "R", "R", "run_one", "Run this", "Run the check under the cursor alone.", 4),
    Key("validate", "x", "x", "stop", "Stop", "End the checks; what ran counts as not run.", 5),
    Key("validate", "n", "n", "next_failure", "Next failure", "Go to the next check that failed.", 6),
    Key("validate", "f", "f", "full", "Full", "Run the next checks at length, or briefly again: larger shapes, every preset.", 7),
    Key("validate", "a", "a", "expand_all", "All", "Show what every check found, or hide it."),
)  # fmt: skip
