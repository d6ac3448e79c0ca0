"""Every technique's page answers the same questions, and when to use it before when not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "techniques").glob("*.md"))
ASKED = ["Formula", "Keys", "Together with", "What to watch", "What goes wrong", "Memory and time", "Deviations"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_answers_what_is_asked_of_each(page: Path) -> None:
    sections = dict(re.findall(r"^## (.+)\n\n((?:(?!^## ).*\n)*)", page.read_text(), re.MULTILINE))
    assert [name for name in ASKED if name not in sections] == []
    use, _, other = sections["When to use it, and when not"].partition("\n\n")
    assert use.startswith("Use ") and other.startswith("Not ")


def test_a_page_names_the_earlier_system_where_it_mentions_it_first() -> None:
    for page in (page for page in DOCS.rglob("*.md") if page.name != "REPORT.md"):  # as it was produced
        before, mention, after = " ".join(page.read_text().split()).partition("earlier system")
        assert not mention or "nanochat-rs-ternary" in before + after[:120], page


def test_claims_of_the_earlier_system_stand_beside_what_was_measured() -> None:
    claims = {"token-filtering": "35 %", "prefetch": "60 to 70 %", "8-bit-muon": "2.7 %", "galore": "50 to 65 %"}
    pages = {page.stem: page.read_text() for page in PAGES}
    for name, claim in claims.items():
        assert claim in pages[name].partition("\n## Beside the claims\n")[2].partition("\n## ")[0]


Named = tuple[str, str, str]  # file, function, case in brackets; a file or case that is not written is empty


def named_in_the_table() -> list[Named]:
    """The tests that docs/techniques.md names under "How each was tested", in its order."""
    section = (DOCS / "techniques.md").read_text().partition("\n## How each was tested\n")[2].partition("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("| "))
    return re.findall(r"`(?:(test_\w+\.py)::)?(test_\w+)(\[[^`]*\])?`", table)


def test_every_test_that_the_table_names_is_there() -> None:
    """A name without a file is in one of the files before it; a case stands behind a file and a name."""
    known: dict[str, str] = {}
    for file, function, case in named_in_the_table():
        if file:
            (path,) = ROOT.glob(f"tests/*/{file}")
            known[file] = path.read_text()
        texts = [known[file]] if file else known.values()
        assert any(f"def {function}(" in text for text in texts), (file, function)
        assert file or not case, function


@pytest.mark.slow
def test_every_case_that_the_table_names_is_a_test_that_pytest_knows() -> None:
    cases = {f"{file}::{function}{case}" for file, function, case in named_in_the_table() if case}
    files = sorted({str(path) for case in cases for path in ROOT.glob(f"tests/*/{case.partition('::')[0]}")})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-m", "", "-p", "no:xdist", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    collected = {re.sub(r"^tests/\w+/", "", line) for line in done.stdout.splitlines()}
    assert len(cases) > 20 and cases - collected == set(), done.stdout[-2000:] + done.stderr[-2000:]
