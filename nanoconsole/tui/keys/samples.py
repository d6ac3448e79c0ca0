"""Keys of Samples, and of the dialogs that choose another run and a step."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

TABLE: tuple[Key, ...] = (
    Key("samples", "left", "←→", "step(-1)", "Step", "The sample before.", 1),
    Key("samples", "right", "→", "step(1)", "", "The sample after; after the newest, each new one is shown."),
    Key("samples", "home", "Home", "step(-100000)", "", "The first sample."),
    Key("samples", "end", "End", "step(100000)", "", "The newest sample; each new one is shown."),
    Key("samples", "o", "o", "beside", "Beside", "Choose another run to see beside this one, or none.", 2),
    Key("samples", "d", "d", "differences", "Differences", "Mark words that differ: from the run beside, else from the sample before.", 3),
    Key("samples", "g", "g", "go", "Go to", "Go to the sample nearest to a step.", 4),
    Key("samples", "a", "a", "sample", "Sample now", "Let the trainer write a sample after this step.", 5),
    Key("samples", "up", "↑", "scroll(-1)", "", "Scroll the texts up."),
    Key("samples", "down", "↓", "scroll(1)", "", "Scroll the texts down."),
    Key("samples", "pageup", "PgUp", "scroll(-10)", "", "Scroll ten lines up."),
    Key("samples", "pagedown", "PgDn", "scroll(10)", "", "Scroll ten lines down."),
    Key("choose run", "enter", "enter", "choose", "Choose", "Take what stands under the cursor.", 1),
    Key("choose run", "escape,q", "esc", "dismiss", "Cancel", "Close the dialog; nothing changes.", 2),
    Key("go to step", "enter", "enter", "go", "Go", "Go to the step that was typed.", 1),
    Key("go to step", "escape", "esc", "dismiss", "Cancel", "Close the dialog; nothing changes.", 2),
)  # fmt: skip
