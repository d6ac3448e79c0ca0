"""The newest text that the model of a run wrote."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from nanoconsole.services.watched import Sample


class SamplePane(VerticalScroll):
    """Shown plain: a sample may hold anything."""

    def __init__(self) -> None:
        super().__init__(id="sample")
        self._sample: Sample | None = None

    def compose(self) -> ComposeResult:
        yield Static()

    def on_mount(self) -> None:
        self._draw()

    def show(self, sample: Sample | None) -> None:
        if sample != self._sample:
            self._sample = sample
            self._draw()

    def _draw(self) -> None:
        sample = self._sample
        self.border_title = Content(f"newest sample, step {sample.step:,}" if sample else "newest sample")
        self.set_class(sample is None, "-empty")
        self.query_one(Static).update(Content(sample.text) if sample else Content.styled("no sample yet", "$axis"))
