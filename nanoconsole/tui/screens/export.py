"""Asks in which form a checkpoint is written, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine


@dataclass(frozen=True)
class Form:
    """What is written: `options` of the export verb, and a path, "" for the run's exports."""

    label: str
    about: str
    options: Mapping[str, str] = field(default_factory=dict)
    output: str = ""


FORMS = (
    Form(
        "GGUF",
        "One file; 2.06 bits a weight, 4.5 where rows are no multiple of 256 wide. llama.cpp runs it where the "
        "architecture is a stock one.",
        {"to": "gguf"},
    ),
    Form("GGUF, smaller", "The same with 1.69 in place of 2.06 bits.", {"to": "gguf", "scheme": "tq1_0"}),
    Form("Hugging Face", "A folder for transformers, weights as floats.", {"to": "hf"}),
    Form("Hugging Face, BitNet", "A folder with BitNet's own codes.", {"to": "hf", "form": "bitnet"}),
)


class ExportScreen(Question[Form | None]):
    """Dismissed with the form and the path, None for escape."""

    SCOPE = "export"
    BINDINGS = [*keys.bindings("export")]

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.assemble(("Export ", "bold"), (self._what, "bold $accent")), classes="dialog-title")
            yield OptionList(*(Option(_option(form)) for form in FORMS))
            yield TextLine(placeholder="path; else in the run's exports", compact=True)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = 0

    def on_input_submitted(self) -> None:
        self.action_choose()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(replace(FORMS[event.option_index], output=self.query_one(Input).value.strip()))


def _option(form: Form) -> Content:
    return Content.assemble((form.label, "bold"), "\n", (form.about, "$axis"))
