"""The presets, each with what it is for and what it costs, and the file that is being edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from nanoconsole.services.draft import Draft
from nanoconsole.tui import keys
from nanocore.config.presets import Preset
from nanocore.runs.text import sanitize_line

MARGIN = 2  # cells beside an option
FEW = 8  # presets up to this many are all described; of more only the one under the cursor


@dataclass(frozen=True)
class Choice:
    """A preset or file that can be opened; `problem` says why it cannot. `expects` is shown of the one under the cursor."""

    target: str
    title: str
    description: str
    problem: str = ""
    expects: str = ""


def choices(presets: Sequence[Preset], opened: Sequence[Choice] = ()) -> list[Choice]:
    """The opened files and runs first, then all presets."""
    return [*opened] + [
        Choice(
            preset.name,
            preset.name + (" (yours)" if preset.origin == "yours" else ""),
            preset.description,
            preset.problem,
            preset.expects,
        )
        for preset in presets
    ]


def opened(draft: Draft) -> Choice:
    """A file or run that was opened beside the presets."""
    return Choice(
        draft.target, draft.name, f"{draft.noun} {sanitize_line(str(draft.run.path if draft.run else draft.path))}"
    )


class PresetList(OptionList):
    """Options are identified by their place; texts of presets are never markup."""

    KEY_SCOPE = "presets"
    BINDINGS = [*keys.bindings("presets")]

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.choices: list[Choice] = []
        self._costs: Mapping[str, str] = {}
        self._edited: frozenset[str] = frozenset()
        self._brief = False

    def show(self, choices: list[Choice], target: str) -> None:
        """List choices, with the cursor on `target`."""
        self.choices = []  # nothing to mark while there are no options
        self.clear_options()
        self.choices = choices
        self.add_options([Option(self._prompt(choice)) for choice in choices])
        self._point_at(target)

    def on_resize(self) -> None:
        self._redraw()  # names have another room

    def make_brief(self, brief: bool) -> None:
        """Leave descriptions and empty lines out where room is short."""
        if brief != self._brief:
            self._brief = brief
            self._redraw()

    def _point_at(self, target: str) -> None:
        places = [index for index, choice in enumerate(self.choices) if choice.target == target]
        self.highlighted = (places or [0])[0] if self.choices else None
        self.call_after_refresh(self.scroll_to_highlight)

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Move the mark with the cursor."""
        super().watch_highlighted(highlighted)
        self._redraw()

    def tell(self, costs: Mapping[str, str], edited: frozenset[str]) -> None:
        """Costs by target, and the targets that have unsaved changes."""
        self._costs, before, self._edited = costs, (self._costs, self._edited), edited
        if before != (costs, edited):
            self._redraw()

    def priced(self) -> list[str]:
        """The targets whose cost is shown; of many presets only the one under the cursor, which is opened anyway."""
        return [] if len(self.choices) > FEW else [each.target for each in self.choices if not each.problem]

    def _redraw(self) -> None:
        for index, choice in enumerate(self.choices):
            self.replace_option_prompt_at_index(index, self._prompt(choice))
        self.call_after_refresh(self.scroll_to_highlight)

    @property
    def chosen(self) -> Choice | None:
        place = self.highlighted
        return self.choices[place] if place is not None and place < len(self.choices) else None

    def _prompt(self, choice: Choice) -> Content:
        mark = " ◆" if choice.target in self._edited else ""
        here = "▸ " if choice == self.chosen else ""
        room = max(8, self.scrollable_content_region.width - len(here + mark) - MARGIN)
        title = Content(choice.title).truncate(room, ellipsis=True)
        lines = [Content.assemble((here, "bold $accent"), title.stylize("bold"), (mark, "$accent"))]
        if len(self.choices) > FEW and not here:
            return lines[0]
        if cost := self._costs.get(choice.target, ""):
            lines.append(Content.styled(cost, "$accent"))
        if choice.problem:
            lines.append(Content.styled(f"✗ {choice.problem}", "$error"))
        elif choice.description and not self._brief:
            lines.append(Content.styled(choice.description, "$axis"))
        if choice.expects and here and not self._brief:
            lines.append(Content.assemble(("expects ", "$accent"), (choice.expects, "$axis")))
        return Content("\n").join(lines if self._brief else [*lines, Content("")])
