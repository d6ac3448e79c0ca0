"""No call of the app shows a plain str that could be parsed as markup, and the lint that says so sees what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

import nanoconsole.tui
from tests.tui.markup_lint import unsafe

FOLDER = Path(next(iter(nanoconsole.tui.__path__)))
FILES = sorted(FOLDER.rglob("*.py"))

BAD = [
    "Static(name)",
    "Static(content=name)",
    "Static(**options)",
    'Static("[red]x[/]")',
    "Label(content=f'{name}')",
    "Button('stop', tooltip=name)",
    "Checkbox(label)",
    "Checkbox(label=label)",
    "Collapsible(Static('x'), title=name)",
    "TabPane(title)",
    "Input(value, placeholder)",
    "Input(placeholder=name)",
    "Option(name)",
    "Option(prompt=name)",
    "option_list.add_option(name)",
    "option_list.add_option(Option(prompt=name))",
    "option_list.add_options([Option(name) for name in names])",
    'table.add_row(f"{run}")',
    "table.add_row(Text(one), two)",
    "table.add_column(label=name)",
    "table.add_columns(one, two)",
    "table.add_columns(*names)",
    "table.add_columns(('a', 'key'), (name, 'key'))",
    "table.update_cell('row', 'column', value)",
    "table.update_cell('row', 'column', value=value)",
    "self.notify(str(error))",
    "self.notify(message=text)",
    "self.notify('x', title=title)",
    "self.notify(text, markup=True)",
    "label.update(text + more)",
    "label.update(content=text)",
    "widget.tooltip = name",
    "widget.tooltip: str = name",
    "one.tooltip = two.border_title = name",
    "widget.border_title, widget.border_subtitle = Content('x'), name",
    "widget.border_title, rest = names",
    "widget.border_title += name",
    "class Box:\n    BORDER_TITLE = '[red]x'",
    "setattr(widget, 'border_title', name)",
    "setattr(widget, attribute, name)",
    "Box(tooltip=name)",
    "button.with_tooltip(name)",
    "Tooltip(name)",
    "OptionList(*names)",
    "class Box(Static):\n    def __init__(self, name):\n        super().__init__(name)",
    "Content.from_markup(text)",
    "Text.from_ansi(line)",
    "def rows() -> list[str]: ...\noption_list.add_options(rows())",
]
GOOD = [
    "Static(Content(name))",
    "Static(content=Content.styled(name, 'bold'))",
    "Static(id=name)",
    'Static("fixed", id="x")',
    "Static(name, markup=False)",
    "Collapsible(Static('x'), title='fixed')",
    "Input(value, 'fixed', id=name)",
    "Button('stop', tooltip=Content(name))",
    "option_list.add_options([Option(Content(name)) for name in names])",
    "table.add_columns(*[Text(name) for name in names])",
    "table.add_columns(('a', 'key'), ('b', 'key'))",
    "table.update_cell(row, column, Text(value))",
    "class Box(Static):\n    def __init__(self, name):\n        super().__init__(id=name)",
    "self.notify(text, title=title, markup=False)",
    "widget.border_title = Content(name)",
    "widget.border_title += ' more'",
    "setattr(widget, 'border_title', Content(name))",
    "setattr(widget, 'value', name)",
    "title = name",
    "file.write(text)",
    "def words() -> Content: ...\nlabel.update(words())",
    "def rows() -> list[Option]: ...\noption_list.add_options(rows())",
]


def test_no_call_shows_a_str_that_could_be_markup() -> None:
    found = [f"{path.relative_to(FOLDER)}:{place}" for path in FILES for place in unsafe(path.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize("bad", BAD)
def test_the_lint_sees_what_is_unsafe(bad: str) -> None:
    assert unsafe(bad)


@pytest.mark.parametrize("good", GOOD)
def test_the_lint_lets_safe_calls_be(good: str) -> None:
    assert unsafe(good) == []
