"""The style sheet of the app: each source is parsed once, not again at every screen that is shown for the first time."""

from __future__ import annotations

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

SOURCES = 512  # files and default styles kept parsed; with nine screens and their dialogs there are about a hundred


class StyleSheet(Stylesheet):
    """Textual reads all sources anew, three times over, when a screen is first shown. They change with the theme only,
    so here what was parsed is kept until variables have other values."""

    def __init__(self, *, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._given = variables
        self._parse_cache = LRUCache(SOURCES)

    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._given:
            self._given = variables
            super().set_variables(variables)

    def reparse(self) -> None:
        """Bring the rules up to date. Raises StylesheetError, the rules staying as they were, when a source is wrong."""
        self.parse()
