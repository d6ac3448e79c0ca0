"""The TOML text beside the form: edited by hand, its faults by line; what the form changes is put into it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Paste
from textual.message import Message
from textual.widgets import Static, TextArea

from nanoconsole.services.source import LIMIT, Fault
from nanoconsole.tui import keys
from nanoconsole.tui.widgets.toml_lines import parts
from nanoconsole.tui.widgets.value_input import TextLines
from nanocore.runs.text import sanitize

SHOWN = 2000  # characters of a line that are drawn; longer ones are no configuration
LISTED = 3  # faults told below the text; the others have their lines marked
# What would break lines or is never allowed in TOML; a pasted or read text keeps nothing of it.
_BREAKS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]|\r(?!\n)")


def clean(text: str) -> str:
    """A text as it can be edited line by line; other unsafe characters stay in it, and are drawn as what they are."""
    return _BREAKS.sub(lambda match: sanitize(match.group()), text)


class TomlArea(TextLines):
    """A text area that colours TOML, marks lines with faults, and draws no character that a terminal would obey."""

    KEY_SCOPE = "source"
    BINDINGS = [*keys.bindings("source")]
    COMPONENT_CLASSES = {
        f"source--{name}" for name in ("section", "key", "string", "number", "bool", "comment", "fault")
    }

    class TooLarge(Message):
        """Something was pasted that would make the text too large to be edited."""

    def __init__(self) -> None:
        super().__init__(compact=True, soft_wrap=False, show_line_numbers=True, tab_behavior="focus")
        self.faulty: frozenset[int] = frozenset()  # lines from 1

    def get_line(self, line_index: int) -> Text:
        plain = sanitize(self.document.get_line(line_index)[:SHOWN])
        line = Text(plain, end="", no_wrap=True)
        for begin, end, name in parts(plain):
            line.stylize(self.get_component_rich_style(f"source--{name}", partial=True), begin, end)
        if line_index + 1 in self.faulty:
            line.stylize(self.get_component_rich_style("source--fault", partial=True))
        return line

    async def _on_paste(self, event: Paste) -> None:
        """Take what is pasted without what breaks a text, unless it is too much."""
        event.prevent_default()
        event.stop()
        if self.read_only:
            return
        if len(self.text) + len(event.text) > LIMIT:
            self.post_message(self.TooLarge())
        else:
            self.move_cursor(self.replace(clean(event.text), *self.selection).end_location)

    def mark(self, faulty: frozenset[int]) -> None:
        """Mark the lines that are refused."""
        if faulty != self.faulty:
            self.faulty = faulty
            self.notify_style_update()  # drops the lines drawn before

    def action_next_fault(self) -> None:
        """Go to the next line that is refused, from the start again after the last."""
        lines = sorted(self.faulty - {0})
        here = self.cursor_location[0] + 1
        if lines:
            self.move_cursor((next((line for line in lines if line > here), lines[0]) - 1, 0))

    def follow(self, text: str) -> None:
        """Show another text by changing the lines that differ: cursor, place and undo history stay."""
        old, new = self.text.split("\n"), text.split("\n")
        most = min(len(old), len(new))
        same = next((place for place in range(most) if old[place] != new[place]), most)
        tail = next((n for n in range(most - same) if old[-1 - n] != new[-1 - n]), most - same)
        if same == len(old) == len(new):
            return
        if not tail and same:  # to the very end: from the end of the last line that stays
            begin, piece = (same - 1, len(old[same - 1])), "".join(f"\n{line}" for line in new[same:])
            end = (len(old) - 1, len(old[-1]))
        elif not tail:
            begin, end, piece = (0, 0), (len(old) - 1, len(old[-1])), text
        else:
            begin, end = (same, 0), (len(old) - tail, 0)
            piece = "".join(f"{line}\n" for line in new[same : len(new) - tail])
        self.replace(piece, begin, end, maintain_selection_offset=True)


class SourcePane(Vertical):
    """Shows a draft's text. `Edited` is sent for what is typed, never for what `show` put in."""

    class Edited(Message):
        """The text was edited by hand."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        self._known: str | None = None  # the text that the draft knows
        self._of: object = None  # what the text belongs to
        self._lines: Mapping[str, int] = {}

    def compose(self) -> ComposeResult:
        yield TomlArea()
        yield Static(id="source-faults")

    @property
    def area(self) -> TomlArea:
        return self.query_one(TomlArea)

    @property
    def typed(self) -> str | None:
        """What was typed and not told yet; None when the draft knows all."""
        return self.area.text if self._known is not None and self.area.text != self._known else None

    def show(self, of: object, text: str, *, read_only: bool) -> None:
        """Show the text of a draft; of another one from its beginning."""
        text, area = clean(text), self.area
        if of is not self._of or "\r" in area.text + text:
            self._of, self._known = of, text
            area.load_text(text)
        else:
            self._known = text
            area.follow(text)
        area.read_only = read_only

    def accept(self, text: str) -> None:
        """The draft has taken the text that was typed."""
        self._known = text

    def tell(self, faults: Sequence[Fault], lines: Mapping[str, int]) -> None:
        """What is wrong with the text, and the line of each key."""
        self._lines = lines
        self.area.mark(frozenset(fault.line for fault in faults))
        told = [Content.styled(f"✗ {fault}", "$error") for fault in faults[:LISTED]]
        if len(faults) > LISTED:
            told.insert(0, Content.styled(f"{len(faults)} faults, of which the first:", "$axis"))
        below = self.query_one("#source-faults", Static)
        below.display = bool(told)
        below.update(Content("\n").join(told))

    def reveal(self, key: str) -> None:
        """Put the cursor of the text on the line of a key, while it is edited elsewhere."""
        if (line := self._lines.get(key)) and not self.area.has_focus:
            self.area.move_cursor((min(line, self.area.document.line_count) - 1, 0))

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        if (text := self.typed) is not None:
            self.post_message(self.Edited(text))
