"""Finds, in the source of the app, calls and settings that would show a plain str which could be parsed as markup."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

NONE = slice(0, 0)


class Sink(NamedTuple):
    """Where a call takes text to be shown: which positional arguments, and which keywords."""

    places: slice = slice(0, 1)
    words: tuple[str, ...] = ()


# What parses a plain str as markup, unless told otherwise, or shows it in some versions of Textual.
SINKS = {
    "Static": Sink(words=("content",)),
    "Label": Sink(words=("content",)),
    "Button": Sink(words=("label",)),
    "Checkbox": Sink(words=("label",)),
    "RadioButton": Sink(words=("label",)),
    "RadioSet": Sink(slice(None)),
    "Link": Sink(words=("text",)),
    "Tree": Sink(words=("label",)),
    "Tab": Sink(words=("label",)),
    "Tabs": Sink(slice(None)),
    "TabPane": Sink(words=("title",)),
    "TabbedContent": Sink(slice(None)),
    "Collapsible": Sink(NONE, ("title",)),  # its positional arguments are widgets
    "Input": Sink(slice(1, 2), ("placeholder",)),
    "ValueInput": Sink(slice(1, 2), ("placeholder",)),
    "Option": Sink(words=("prompt",)),
    "OptionList": Sink(slice(None)),
    "Select": Sink(words=("options", "prompt")),
    "SelectionList": Sink(slice(None)),
    "Tooltip": Sink(words=("content",)),
    "notify": Sink(words=("message", "title")),
    "update": Sink(words=("content",)),
    "write": Sink(words=("content",)),
    "add_row": Sink(slice(None), ("label",)),
    "add_column": Sink(words=("label",)),
    "add_columns": Sink(slice(None)),
    "add_option": Sink(words=("item", "option")),
    "add_options": Sink(words=("items", "new_options")),
    "update_cell": Sink(slice(2, 3), ("value",)),
    "update_cell_at": Sink(slice(1, 2), ("value",)),
    "replace_option_prompt": Sink(slice(1, 2), ("prompt",)),
    "replace_option_prompt_at_index": Sink(slice(1, 2), ("prompt",)),
    "with_tooltip": Sink(words=("tooltip",)),
}
EVERYWHERE = ("tooltip",)  # a keyword of any widget
MARKED = {"tooltip", "border_title", "border_subtitle", "title", "sub_title", "BORDER_TITLE", "BORDER_SUBTITLE"}
PARSERS = {"from_markup", "from_ansi"}
SAFE_RETURNS = ("Content", "Text", "Option")
SAFE_ROOTS = {"Content", "Text", "clickable"}
NOT_WIDGETS = {"canvas.write", "self.write", "self._driver.write", "file.write", "digest.update"}


def unsafe(source: str) -> list[str]:
    """The places of a source that would show a str as markup, or parse one."""
    tree = ast.parse(source)
    _name_bases(tree)
    functions = _safe_functions(tree)
    found = [node for node in ast.walk(tree) if not _allowed(node, functions)]
    return [f"{getattr(node, 'lineno', 0)}: {ast.unparse(node)[:80]}" for node in found]


def _name_bases(tree: ast.AST) -> None:
    """Let `super().__init__(...)` in a class that extends a sink read as a call of that sink."""
    for owner in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        base = next((name for base in owner.bases if (name := _name(getattr(base, "value", base))) in SINKS), "")
        for call in (node for node in ast.walk(owner) if isinstance(node, ast.Call) and base):
            if ast.unparse(call.func) == "super().__init__":
                call.func = ast.Name(base)


def _allowed(node: ast.AST, functions: set[str]) -> bool:
    if isinstance(node, ast.Call):
        return all(_is_safe(shown, functions) for shown in _shown(node)) and _name(node.func) not in PARSERS
    if isinstance(node, ast.Assign):
        return all(_may_hold(target, node.value, functions) for target in node.targets)
    if isinstance(node, ast.AugAssign | ast.AnnAssign) and node.value is not None:
        return _may_hold(node.target, node.value, functions)
    return True


def _shown(call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call that would be parsed; none when it says markup=False."""
    name, keywords = _name(call.func), {word.arg: word.value for word in call.keywords}
    if name == "setattr" and len(call.args) == 3:
        attribute = call.args[1]
        if not isinstance(attribute, ast.Constant) or attribute.value in MARKED:
            yield call.args[2]
        return
    plain = isinstance(flag := keywords.get("markup"), ast.Constant) and flag.value is False
    if name not in SINKS or plain or ast.unparse(call.func) in NOT_WIDGETS:
        yield from (keywords[word] for word in EVERYWHERE if word in keywords and name[:1].isupper())
        return
    yield from call.args[SINKS[name].places]
    yield from (value for word, value in keywords.items() if word is None or word in SINKS[name].words + EVERYWHERE)


def _may_hold(target: ast.expr, value: ast.expr, functions: set[str]) -> bool:
    """Whether what is assigned is neither a title nor a tooltip, or is safe as one."""
    if isinstance(target, ast.Tuple | ast.List):
        values = value.elts if isinstance(value, ast.Tuple | ast.List) else [value] * len(target.elts)
        return all(_may_hold(one, two, functions) for one, two in zip(target.elts, values, strict=False))
    named = isinstance(target, ast.Attribute) or _name(target).isupper()
    return not (named and _name(target) in MARKED) or _is_safe(value, functions)


def _is_safe(node: ast.expr, functions: set[str]) -> bool:
    """Whether an expression is fixed text without brackets, or content that is never parsed again."""
    if isinstance(node, ast.Constant):
        return "[" not in str(node.value)
    if isinstance(node, ast.Starred):
        return _is_safe(node.value, functions)
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        return _is_safe(node.elt, functions)
    if isinstance(node, ast.Tuple | ast.List):
        return all(_is_safe(each, functions) for each in node.elts)
    if isinstance(node, ast.IfExp):
        return _is_safe(node.body, functions) and _is_safe(node.orelse, functions)
    if isinstance(node, ast.BinOp):
        return _is_safe(node.left, functions) and _is_safe(node.right, functions)
    return isinstance(node, ast.Call) and _makes_content(node, functions)


def _makes_content(call: ast.Call, functions: set[str]) -> bool:
    """Whether a call gives content; a sink as an argument of another, as in add_option(Option(x)), is judged itself."""
    return _root(call) in SAFE_ROOTS or _name(call.func) in functions or _name(call.func) == "Option"


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _root(node: ast.AST) -> str:
    """`Content` for Content("x"), Content.assemble(...), Content("").join(...)."""
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return _name(node)


def _safe_functions(tree: ast.AST) -> set[str]:
    """Functions of a file that are declared to return text which is never markup, or an option, judged where it is made."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns is not None)
    return {node.name for node in found if node.returns is not None and _returned(node.returns) in SAFE_RETURNS}


def _returned(annotation: ast.expr) -> str:
    """`Option` for Option and for list[Option]."""
    if isinstance(annotation, ast.Subscript) and _name(annotation.value) == "list":
        return _name(annotation.slice)
    return _name(annotation)
