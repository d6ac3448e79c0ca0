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
from nanocore.runs.text import sanitize_line

if TYPE_CHECKING:
    from nanoconsole.tui.app import ConsoleApp
    from nanoconsole.tui.screens.base import ConsoleScreen

Part = tuple[str, str, str]  # text, style, action on click ("" for none)
SAID = {"information": ("✓", "success"), "warning": ("!", "warning"), "error": ("✗", "error")}
TABS = (("1", "Runs", "runs"), ("2", "Launch", "launch"), ("3", "Live", "live"))


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
    def place(self) -> ConsoleScreen:
        return cast("ConsoleScreen", self.screen)


class TitleBar(Bar):
    """Name, screens, how many runs train, and the run root."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self._scope = scope

    def on_mount(self) -> None:
        self.console.listed_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> RenderResult:
        parts: list[Part] = [(" nanoconsole ", "bold $accent", "")]
        for number, label, mode in TABS:
            style = "bold $background on $primary" if mode == self._scope else "$axis"
            parts.append((f" {number} {label} ", style, f"app.show('{mode}')"))
        working = self.console.run_list.working
        paused = sum(run.state == "paused" for run in working)
        training = len(working) - paused
        state = (f" ● {training} training" if training else "") + (f" ◫ {paused} paused" if paused else "")
        root = sanitize_line(_short(self.console.root))
        room = self.size.width - width(parts) - len(state) - 2
        root = root if len(root) <= room else f"…{root[len(root) - room + 1 :]}" if room > 8 else ""
        gap = max(0, self.size.width - width(parts) - len(state) - len(root) - 1)
        parts += [(state, "$success", ""), (" " * gap, "", ""), (root, "$axis", "")]
        return clickable(parts)


def _short(path: Path) -> str:
    """A path with the home folder written as ~."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


class KeyBar(Bar):
    """The keys in force here, made from the table. Help and leaving are always shown, others while there is room.

    For some seconds what was done, or why not, stands in their place: there it covers nothing that is being watched.
    """

    def on_mount(self) -> None:
        self.watch(self.screen, "focused", self._focus_moved, init=False)
        self.console.listed_signal.subscribe(self, lambda _: self.refresh())
        self.console.said_signal.subscribe(self, lambda _: self.refresh(layout=True))

    def _focus_moved(self) -> None:
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        said = self._said()
        return clickable(said).get_height({}, width) if said else 1

    def render(self) -> RenderResult:
        shown = [key for key in keys.bar(self.place.scopes()) if self.place.offers(key.action)]
        last = [part for key in shown if key.bar >= 90 for part in self._parts(key)]
        room = self.size.width - width(last)
        chosen = self._said()
        if width(chosen) > room:
            return clickable(chosen)
        for key in shown:
            parts = self._parts(key)
            if key.bar < 90 and width(chosen) + width(parts) <= room:
                chosen += parts
        return clickable([*chosen, *last])

    def _said(self) -> list[Part]:
        """What was done last, while it is to be read."""
        said = self.console.said
        if said is None:
            return []
        mark, colour = SAID[said.severity]
        return [(f" {mark} ", f"bold ${colour}", ""), (f"{said.text} ", "$foreground", "")]

    def _parts(self, key: keys.Key) -> list[Part]:
        label = self.place.key_label(key)
        action = key.action if "." in key.action.partition("(")[0] else self._target(key)
        return [(f" {key.shown}", "bold $accent", action), (f" {label} ", "$foreground", action)]

    def _target(self, key: keys.Key) -> str:
        """The action with the namespace it lives in."""
        return f"{'app' if key.scope == 'app' else 'focused' if key.scope in keys.PANES else 'screen'}.{key.action}"
