"""Commands in the documents have verbs and options that exist, and links between documents lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nanoconsole.cli.main import command

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.M | re.S)
SPAN = re.compile(r"`([^`]+)`")
CALL = re.compile(r"(?:^|[\s(/])nanoconsole((?: +[^\n]*)?)$", re.M)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `nanoconsole` of every line in fences and of every code span that begins with it."""
    fences = "\n".join(FENCE.findall(text)).replace("\\\n", " ")
    spans = [span.replace("\n", " ") for span in SPAN.findall(FENCE.sub("", text))]
    for line in [*fences.splitlines(), *(span for span in spans if span.startswith("nanoconsole "))]:
        for call in CALL.findall(line):
            yield list(_words(call))


def _words(call: str) -> Iterator[str]:
    lexer = shlex.shlex(call, posix=True, punctuation_chars="|&;<>()")
    lexer.commenters, lexer.whitespace_split = "#", True
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            return
        yield word.strip("[]")


def faults(words: list[str], node: Any, path: str = "nanoconsole") -> list[str]:
    """What of a command line the tree of verbs does not have."""
    options = {name: each for each in node.params for name in (*each.opts, *each.secondary_opts) if name[0] == "-"}
    found, rest = [], iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if name in ("-h", "--help") or not name:
            continue
        if name[0] == "-":
            if name not in options:
                found.append(f"{path} has no {name}")
            elif not equals and not options[name].is_flag:
                next(rest, None)
        elif hasattr(node, "commands"):
            below = node.commands.get(name)
            return [*found, *(faults(list(rest), below, f"{path} {name}") if below else [f"{path} has no {name}"])]
    return found


def anchors(path: Path) -> set[str]:
    """The names under which a page's headings are reached, as GitHub makes them, and those it sets itself."""
    text = FENCE.sub("", path.read_text())
    headings = [
        re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ +(.+)$", text, re.M)
    ]
    return {*headings, *re.findall(r'<a (?:id|name)="([^"]+)"', text)}


def links(text: str) -> list[str]:
    """The targets of a page's links and pictures that are no addresses."""
    found = [link or picture for link, picture in LINK.findall(SPAN.sub("", FENCE.sub("", text)))]
    return [target for target in found if "://" not in target and not target.startswith("mailto:")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_a_document_exists(path: Path) -> None:
    lines = list(commands(path.read_text()))
    assert [(fault, " ".join(words)) for words in lines for fault in faults(words, command())] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_in_a_document_leads_somewhere(path: Path) -> None:
    for target in links(path.read_text()):
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), target


def test_what_is_wrong_with_a_command_is_seen() -> None:
    text = '```\n$ .venv/bin/nanoconsole train x \\\n  --sett a=b > y  # --z\nx "$(nanoconsole runs shwo)"\n```\n`nanoconsole trian`'
    assert [faults(words, command()) for words in commands(text)] == [
        ["nanoconsole train has no --sett"], ["nanoconsole runs has no shwo"], ["nanoconsole has no trian"],
    ]  # fmt: skip
    assert faults(["--runs", "d", "runs", "list", "--filter", "-x", "--json"], command()) == []


def test_the_readme_names_many_commands_and_pages() -> None:
    """So that the tests above are not green because nothing was found."""
    text = DOCUMENTS[0].read_text()
    assert len(list(commands(text))) > 30 and len(links(text)) > 10
