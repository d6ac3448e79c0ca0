"""What the command palette finds by name besides the actions of the screen: runs, presets, settings.

The palette reads its texts as markup: only names that were checked, and words of our own, are put in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from textual.command import Hit, Hits, Provider

from nanoconsole.services.settings_schema import SETTINGS
from nanocore.runs.layout import valid_name

if TYPE_CHECKING:
    from nanoconsole.tui.app import ConsoleApp

BEHIND = 0.999  # of two equal hits, the action comes before the thing of that name

Found = tuple[str, str, Callable[[], object]]  # title, help, what it does


class NamedThings(Provider):
    """Runs, presets and settings; only a search lists them, for there may be thousands."""

    _presets: tuple[str, ...] = ()

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    async def startup(self) -> None:
        self._presets = await asyncio.to_thread(_preset_names)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, help, action in self._things():
            if (score := matcher.match(title)) > 0:
                yield Hit(BEHIND * score, matcher.highlight(title), action, text=title, help=help)

    def _things(self) -> Iterator[Found]:
        console = self.console
        for listed in console.run_list.runs:
            if valid_name(listed.summary.name):
                yield f"run {listed.summary.name}", "Open it in Live.", lambda run=listed.run: console.open_run(run)
        for name in self._presets:
            yield f"preset {name}", "Edit it in Launch.", lambda name=name: console.edit_preset(name)
        for setting in SETTINGS:
            title = f"setting {setting.key}"
            yield title, setting.help, lambda key=setting.key: console.action_settings(key)


def _preset_names() -> tuple[str, ...]:
    from nanocore.config.presets import presets

    return tuple(preset.name for preset in presets() if not preset.problem and valid_name(preset.name))
