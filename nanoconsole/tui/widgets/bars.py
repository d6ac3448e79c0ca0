"""The line above (where am I, what trains, which run root) and the line below (which keys do what, what was done)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.app import RenderResult
from textual.content import Content
from textual.geometry import Size
from textual.style import Style
from textual.widget import Widget

from nanoconsole.tui import keys
from nanoconsole.tui.modes import MODES
from nanocore.runs.text import sanitize_line

if TYPE_CHECKING:
    from nanoconsole.tui.app import ConsoleApp
    from nanoconsole.tui.screens.base import ConsoleScreen
    from nanoconsole.tui.screens.dialog import Dialog

Part = tuple[str, str, str]  # text, style, action on click ("" for none)
NAMES = (" nanoconsole ", " nano ", "")  # of the program, the longest that leaves the tabs their room
WIDE = 80  # columns from which counts have their words
COUNTS = 14  # columns kept for what trains, so that tabs do not change when a run begins
SAID = {
    "information": ("✓", "success"),
    "working": ("◐", "accent"),
    "warning": ("!", "warning"),
    "error": ("✗", "error"),
}


def clickable(parts: Sequence[Part]) -> Content:
    """Plain text in styles, parts of which run an action of the app when clicked. Never markup."""
    content = Content.assemble(*[(text, style) for text, style, _ in parts])
    place = 0
    for text, _, action in parts:
        if action:
            content = content.stylize(Style.from_meta({"@click": action}), place, place + len(text))
        place += len(text)
    return content


def width(parts: Sequence[Part]) -> int:
    return sum(len(text) for text, _, _ in parts)


class Bar(Widget):
    """A line of the frame around every screen. What can be clicked keeps its own colours."""

    def __init__(self) -> None:
        super().__init__()
        self.auto_links = False

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def place(self) -> ConsoleScreen | Dialog[object]:
        return cast("ConsoleScreen | Dialog[object]", self.screen)


class TitleBar(Bar):
    """Name, screens, how many runs train, and the run root."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self._scope = scope

    def on_mount(self) -> None:
        self.console.listed_signal.subscribe(self, lambda _: self.refresh())
        self.console.alerts_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> RenderResult:
        counts = self._counts()
        parts = self._name_and_tabs(self.size.width - max(COUNTS, width(counts))) + counts
        root = sanitize_line(_short(self.console.root))
        room = self.size.width - width(parts) - 2
        root = root if len(root) <= room else f"…{root[len(root) - room + 1 :]}" if room > 8 else ""
        gap = max(0, self.size.width - width(parts) - len(root) - 1)
        return clickable([*parts, (" " * gap, "", ""), (root, "$axis", "")])

    def _name_and_tabs(self, room: int) -> list[Part]:
        """As much of the program's name and of the tabs' names as fits, the tabs' before the program's."""
        for brief in (False, True):
            for name in NAMES:
                parts: list[Part] = [(name, "bold $accent", ""), *self._tabs(brief=brief)]
                if width(parts) <= room:
                    return parts
        return self._tabs(brief=True)

    def _counts(self) -> list[Part]:
        """How many runs train, how many are paused, and how many alerts nobody has seen; short in a narrow terminal."""
        working, wide = self.console.run_list.working, self.size.width >= WIDE
        paused, new = sum(run.state == "paused" for run in working), len(self.console.alerts.new)
        found: list[Part] = []
        for mark, number, word, style, action in (
            ("●", len(working) - paused, " training", "$success", ""),
            ("◫", paused, " paused", "$success", ""),
            ("▲", new, " alert" if new == 1 else " alerts", "bold $warning", "app.alerts"),
        ):
            if number:
                found.append((f" {mark} {number}{word if wide else ''}", style, action))
        return found

    def _tabs(self, *, brief: bool) -> list[Part]:
        """A tab for each main screen; in a narrow terminal only the one that is shown has its name."""
        found: list[Part] = []
        for mode in MODES:
            shown = mode.name == self._scope
            style = "bold $block-cursor-foreground on $block-cursor-background" if shown else "$axis"
            label = f" {mode.number} " if brief and not shown else f" {mode.number} {mode.label} "
            found.append((label, style, f"app.show('{mode.name}')"))
        return found


def _short(path: Path) -> str:
    """A path with the home folder written as ~."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


class KeyBar(Bar):
    """The keys in force here, made from the table. The main one, help and leaving are always shown, others in what room
    there is.

    For some seconds what was done, or why not, stands before them, or above them where it is too long for that.
    """

    def on_mount(self) -> None:
        self.watch(self.screen, "focused", self._focus_moved, init=False)
        self.console.listed_signal.subscribe(self, lambda _: self.refresh())
        self.console.said_signal.subscribe(self, lambda _: self.refresh(layout=True))

    def _focus_moved(self) -> None:
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._lines(width).get_height({}, width)

    def render(self) -> RenderResult:
        return self._lines(self.size.width)

    def _lines(self, room: int) -> Content:
        said = self._said()
        line = self._keys(room - width(said), brief=bool(said))
        if width(said) + width(line) <= room:
            return clickable([*said, *line])
        keys_alone = clickable(self._keys(room, brief=True))
        return Content("\n").join([clickable(said), keys_alone]) if said else keys_alone

    def _keys(self, room: int, *, brief: bool) -> list[Part]:
        """The keys that are always shown, and from the left as many others as find room beside them."""
        shown = [key for key in self.console.keys.bar(self.place.scopes()) if self.place.offers(key.action)]
        parts = {key: self._parts(key, brief) for key in shown}
        main = [key for key in shown if key.action == self.place.main_action()] or shown[:1]
        chosen = {key for key in shown if key in main or key.bar >= keys.LAST}
        for key in shown:
            if sum(width(parts[each]) for each in chosen | {key}) <= room:
                chosen.add(key)
        return [part for key in shown if key in chosen for part in parts[key]]

    def _said(self) -> list[Part]:
        """What was done last, while it is to be read."""
        said = self.console.said
        if said is None:
            return []
        mark, colour = SAID[said.severity]
        return [(f" {mark} ", f"bold ${colour}", ""), (f"{said.text} ", "$foreground", "")]

    def _parts(self, key: keys.Key, brief: bool) -> list[Part]:
        """A key and its label; a brief one says of help and leaving no more than that."""
        label = key.label if brief and key.bar >= keys.LAST else self.place.key_label(key)
        action = key.action if "." in key.action.partition("(")[0] else self._target(key)
        return [(f" {key.shown}", "bold $accent", action), (f" {label} ", "$foreground", action)]

    def _target(self, key: keys.Key) -> str:
        """The action with the namespace it lives in."""
        return f"{'app' if key.scope == 'app' else 'focused' if key.scope in keys.PANES else 'screen'}.{key.action}"
