"""A lint over the app's code: no call shows a plain str that could be parsed as markup."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nanoconsole.tui

# Calls that take text to be shown, and parse a plain str as markup unless told otherwise.
SINKS = {
    "Static", "Label", "Button", "Option", "Link", "Tree", "notify", "update", "add_row", "add_column", "add_option",
    "update_cell", "update_cell_at", "replace_option_prompt_at_index", "with_tooltip", "write",
}  # fmt: skip
PLACES = {"update_cell": 2, "update_cell_at": 1, "replace_option_prompt_at_index": 1}  # of the text among arguments
SAFE_ROOTS = {"Content", "Text", "clickable"}
PARSERS = {"from_markup", "from_ansi"}
MARKED_ATTRIBUTES = {"tooltip", "border_title", "border_subtitle", "title", "sub_title"}
NOT_WIDGETS = {"canvas.write", "self.write", "file.write", "digest.update"}
FILES = sorted(Path(next(iter(nanoconsole.tui.__path__))).rglob("*.py"))


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _root(node: ast.AST) -> str:
    """`Content` for Content("x"), Content.assemble(...), Content("").join(...)."""
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return _name(node)


def _safe_functions(tree: ast.AST) -> set[str]:
    """Functions of a file that are declared to return text which is never markup."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns is not None)
    return {node.name for node in found if _name(node.returns or node) in ("Content", "Text")}


def _is_safe(node: ast.expr, functions: set[str]) -> bool:
    if isinstance(node, ast.Constant):
        return "[" not in str(node.value)
    if isinstance(node, ast.Starred):
        return _is_safe(node.value, functions)
    if isinstance(node, ast.ListComp):
        return _is_safe(node.elt, functions)
    if isinstance(node, ast.IfExp):
        return _is_safe(node.body, functions) and _is_safe(node.orelse, functions)
    if isinstance(node, ast.BinOp):
        return _is_safe(node.left, functions) and _is_safe(node.right, functions)
    return isinstance(node, ast.Call) and (_root(node) in SAFE_ROOTS or _name(node.func) in functions)


def unsafe(source: str) -> list[str]:
    """The places of a source that would show a str as markup, or parse one."""
    tree = ast.parse(source)
    functions = _safe_functions(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_unsafe_call(node, functions)]
    settings = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and _is_unsafe_setting(node, functions)]
    return [f"{node.lineno}: {ast.unparse(node)[:80]}" for node in (*calls, *settings)]


def _is_unsafe_call(node: ast.Call, functions: set[str]) -> bool:
    name = _name(node.func)
    if name not in SINKS or ast.unparse(node.func) in NOT_WIDGETS:
        return name in PARSERS
    plain = any(word.arg == "markup" and ast.unparse(word.value) == "False" for word in node.keywords)
    shown = node.args[PLACES.get(name, 0) :][:1]
    return not plain and not all(_is_safe(argument, functions) for argument in shown)


def _is_unsafe_setting(node: ast.Assign, functions: set[str]) -> bool:
    """A title or tooltip set to something that is neither fixed text nor content."""
    marked = any(isinstance(each, ast.Attribute) and each.attr in MARKED_ATTRIBUTES for each in node.targets)
    return marked and not _is_safe(node.value, functions)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_call_shows_a_str_that_could_be_markup(path: Path) -> None:
    assert unsafe(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "bad",
    [
        "Static(name)",
        'Static("[red]x[/]")',
        'table.add_row(f"{run}")',
        "self.notify(str(error))",
        "label.update(text + more)",
        "widget.tooltip = name",
        "Content.from_markup(text)",
        "Text.from_ansi(line)",
        "option_list.add_option(name)",
    ],
)
def test_the_lint_sees_what_is_unsafe(bad: str) -> None:
    assert unsafe(bad)


@pytest.mark.parametrize(
    "good", ["Static(Content(name))", "self.notify(text, markup=False)", 'Static("fixed", id="x")']
)
def test_the_lint_lets_safe_calls_be(good: str) -> None:
    assert unsafe(good) == []
