"""Keys of the list of runs, and of its dialogs."""

from __future__ import annotations

from nanoconsole.tui.keys.key import Key

FAR = 1_000_000  # rows: to the first or last one

TABLE: tuple[Key, ...] = (
    Key("runs", "enter", "enter", "open", "Open", "Open the run under the cursor in Live.", 1),
    Key("runs", "l", "l", "app.show('launch')", "Launch", "Choose a preset, change it, launch it.", 2),
    Key("runs", "p", "p", "pause", "Pause", "Pause the run, or let a paused one go on.", 3),
    Key("runs", "S", "S", "stop", "Stop", "Stop the run: four ways, explained before you choose.", 4),
    Key("runs", "slash", "/", "filter", "Filter", "Show some runs only: lr>1e-3 tag:x state:running OR preset:tiny*.", 5),
    Key("runs", "space", "space", "select", "Select", "Select the run, or no more, and go to the next one.", 6),
    Key("runs", "C", "C", "compare", "Compare", "Compare the selected runs; the one under the cursor where none is.", 7),
    Key("runs", "o", "o", "sort(1)", "Sort", "Sort by the next column; a click on its title does too.", 8),
    Key("runs", "k", "k", "checkpoint", "Save", "Save a checkpoint now, kept as checkpoint.keep_last, keep_every and keep_best say.", 9),
    Key("runs", "r", "r", "resume", "Resume", "Continue a stopped or crashed run from its newest checkpoint.", 10),
    Key("runs", "c", "c", "chat", "Chat", "Talk with the newest checkpoint of the run."),
    Key("runs", "K", "K", "checkpoints", "Checkpoints", "The checkpoints of the run: chat, fork, export, resume, delete."),
    Key("runs", "t", "t", "tags", "Tags", "Change tags and note of the run, or of all selected ones.", 11),
    Key("runs", "a", "a", "archive", "Archive", "Archive the run or the selected ones, or fetch them back.", 12),
    Key("runs", "D,delete", "D", "delete", "Delete", "Move the run or the selected ones to the trash; it asks before.", 13),
    Key("runs", "T", "T", "trash", "Trash", "The deleted runs, to bring one back."),
    Key("runs", "v", "v", "verify", "Verify", "Read everything in the run or the selected ones: is it what was written?", 14),
    Key("runs", "R", "R", "repair", "Repair", "Put the run in order; it shows before what would be done."),
    Key("runs", "e", "e", "pack", "Export", "Pack the run into one archive, for another machine or a backup.", 15),
    Key("runs", "i", "i", "unpack", "Import", "Make a run of an archive.", 16),
    Key("runs", "A", "A", "select_all", "Select all", "Select all runs that are shown, or none of them."),
    Key("runs", "b", "b", "baseline", "Baseline", "Make the run the baseline of comparisons, or no run."),
    Key("runs", "O", "O", "reverse", "Reverse", "Sort the other way round."),
    Key("runs", "h", "h", "archived", "Show archived", "Show archived runs too, or hide them."),
    Key("runs", "up", "↑", "move(-1)", "", "The run above."),
    Key("runs", "down", "↓", "move(1)", "", "The run below."),
    Key("runs", "pageup", "PgUp", "page(-1)", "", "A page up."),
    Key("runs", "pagedown", "PgDn", "page(1)", "", "A page down."),
    Key("runs", "home", "Home", f"move(-{FAR})", "", "The first run."),
    Key("runs", "end", "End", f"move({FAR})", "", "The last run."),
    Key("tags", "enter", "enter", "next", "Keep", "Go to the next line, or keep what is written.", 1),
    Key("tags", "tab", "tab", "app.focus_next", "Other line", "Go to the other line.", 2),
    Key("tags", "escape", "esc", "dismiss", "Cancel", "Close the dialog and change nothing.", 3),
    Key("trash", "enter", "enter", "choose", "Bring back", "Make the deleted run a run again.", 1),
    Key("trash", "escape,q,T", "esc", "dismiss", "Close", "Close the list; the runs stay where they are.", 2),
    Key("delete", "enter", "enter", "choose", "Choose", "Do what stands under the cursor.", 1),
    Key("delete", "escape,q", "esc", "dismiss", "Keep them", "Close the dialog; nothing is deleted.", 2),
)  # fmt: skip
