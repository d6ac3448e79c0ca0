"""Every technique's page answers the same questions, and when to use it before when not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "techniques").glob("*.md"))
ASKED = ["Formula", "Keys", "Together with", "What to watch", "What goes wrong", "Memory and time", "Deviations"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_answers_what_is_asked_of_each(page: Path) -> None:
    sections = dict(re.findall(r"^## (.+)\n\n((?:(?!^## ).*\n)*)", page.read_text(), re.MULTILINE))
    assert [name for name in ASKED if name not in sections] == []
    use, _, other = sections["When to use it, and when not"].partition("\n\n")
    assert use.startswith("Use ") and other.startswith("Not ")


def test_a_page_names_the_earlier_system_where_it_mentions_it_first() -> None:
    for page in DOCS.rglob("*.md"):
        before, mention, after = " ".join(page.read_text().split()).partition("earlier system")
        assert not mention or "nanochat-rs-ternary" in before + after[:120], page


def test_claims_of_the_earlier_system_stand_beside_what_was_measured() -> None:
    claims = {"token-filtering": "35 %", "prefetch": "60 to 70 %", "8-bit-muon": "2.7 %", "galore": "50 to 65 %"}
    pages = {page.stem: page.read_text() for page in PAGES}
    for name, claim in claims.items():
        assert claim in pages[name].partition("\n## Beside the claims\n")[2].partition("\n## ")[0]
