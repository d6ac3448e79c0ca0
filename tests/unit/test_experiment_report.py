"""The files of an experiment's report: a page that holds everything itself, and the runs as a table."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from nanoconsole.services.reports.bars import bars
from nanoconsole.services.reports.experiment import curves, make_folder, page, runs_csv, save
from nanoconsole.services.reports.forest import forest
from nanoconsole.services.reports.plot import Line, Plot
from nanoconsole.services.reports.svg import look, svg
from nanocore.compare.markdown import markdown
from nanocore.compare.spec import Claim
from nanocore.errors import ResourceError
from nanocore.runs import create
from tests.compared import SPEC, built


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(create, "git_revision", str)
        claim = Claim(claim="<b>faster</b> & better", source="a | b", scale="7B", measure="bits_per_byte")
        mtp = SPEC.variants["mtp"].model_copy(update={"claims": [claim]})
        spec = SPEC.model_copy(update={"variants": {**SPEC.variants, "mtp": mtp}})
        return built(tmp_path_factory.mktemp("runs"), spec=spec)


def drawings(text: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def test_four_files_are_written_and_replaced(document: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "a" / "report"
    save({**document, "name": "before"}, folder)
    written = save(document, folder)
    assert [path.name for path in written] == ["REPORT.md", "report.html", "report.json", "runs.csv"]
    assert sorted(folder.iterdir()) == sorted(written)
    assert written[0].read_text() == markdown(document)
    assert json.loads(written[2].read_text()) == json.loads(json.dumps(document))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ResourceError, match="cannot be made"):
        save(document, blocked)


def test_a_folder_that_cannot_be_written_into_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be made"):
        make_folder(tmp_path / "file" / "report")
    make_folder(tmp_path / "a" / "report")
    assert (tmp_path / "a" / "report").is_dir()


def test_markdown_holds_no_markup_of_others(document: dict[str, Any]) -> None:
    text = markdown(
        {**document, "sets": ['data.sources=[{paths=["/a/*.py", "/b/*.py"]}]'], "command": ["bench", "a b"], "claims": [
            {**document["claims"][0], "source": "c \\| d"}
        ]}
    )  # fmt: skip
    assert r"| c \\\| d |" in text  # a backslash of theirs does not set the bar free
    assert "\\<b>faster\\</b> & better" in text and "/a/\\*.py" in text
    made = time.strftime("%Y-%m-%d", time.gmtime(document["created"]))
    assert re.search(rf"(?m)^Made {made} \d\d:\d\d UTC by: bench 'a b'$", text)


def test_short_times_have_labels_of_their_own() -> None:
    plot = Plot("m", "", "", (Line("a", ((0.6, 1, 1, 1), (2.6, 2, 2, 2)), ()),), "seconds")
    labels = [each.text for each in drawings(svg(plot))[0].iter("text") if each.get("text-anchor") == "middle"]
    assert labels == ["1", "1.500", "2", "2.500"]


def test_the_page_fetches_nothing_and_tells_what_the_markdown_tells(document: dict[str, Any]) -> None:
    text = page(document)
    assert "default-src 'none'" in text and not re.search(r"<(script|img|link|iframe|a)\b", text)
    assert "&lt;b&gt;faster&lt;/b&gt; &amp; better" in text and "<b>" not in text
    assert re.findall(r"<h2>(.*?)</h2>", text) == [*re.findall(r"(?m)^## (.*)$", markdown(document)), "Columns"]
    assert "<td>CE nats/token</td><td>held-out cross-entropy" in text
    assert len(drawings(text)) == 6  # differences at equal steps and time, three of curves, time by part


def test_a_difference_lies_where_its_numbers_say(document: dict[str, Any]) -> None:
    (drawn,) = drawings(forest(document["equal_steps"]))
    labels = [each.text for each in drawn.iter("text")]
    assert "power-check" not in labels and {"mtp", "smooth", "better", "no difference seen"} <= set(labels)
    dots = [float(each.attrib["cx"]) for each in drawn.iter("circle")]
    zero = next(float(each.attrib["x1"]) for each in drawn.iter("line") if each.attrib["stroke"] == "#000000")
    assert dots[0] < zero < dots[1]  # -0.1 and +0.004
    assert forest([]) == ""
    powerless = {**document["equal_steps"][3], "verdict": "no difference seen, but no power to see one (2 of 3 seeds)"}
    assert "no difference seen (2 of 3 seeds)" in [each.text for each in drawings(forest([powerless]))[0].iter("text")]


def test_what_would_hide_the_others_is_not_drawn(document: dict[str, Any]) -> None:
    table = [{**row, "far_worse": row["variant"] == "mtp"} for row in document["equal_steps"]]
    assert [line.name for line in curves({**document, "equal_steps": table})[0].lines] == [
        "baseline",
        "power-check",
        "smooth",
    ]
    assert "mtp" not in forest(table) and "smooth" in forest(table)


def test_curves_are_means_over_the_seeds_in_the_area_of_all(document: dict[str, Any]) -> None:
    tokens, seconds, differences = curves(document)
    assert (tokens.axis, seconds.axis, [line.name for line in tokens.lines]) == (
        "tokens", "seconds", ["baseline", "power-check", "mtp", "smooth"]
    )  # fmt: skip
    x, low, high, mean = tokens.lines[0].points[-1]
    assert (x, low, high, mean) == (16384, pytest.approx(2.1), pytest.approx(2.3), pytest.approx(2.2))
    assert seconds.lines[2].points[-1][0] == pytest.approx(
        2 * seconds.lines[0].points[-1][0]
    )  # mtp takes twice the time
    assert [line.name for line in differences.lines] == ["mtp", "smooth"]
    assert differences.lines[0].points[-1] == (16384, pytest.approx(-0.11), pytest.approx(-0.09), pytest.approx(-0.1))


def test_bars_have_the_length_of_their_parts(document: dict[str, Any]) -> None:
    rows = [{**row, "between_steps_seconds": 0.0} for row in document["equal_steps"]]
    (drawn,) = drawings(bars(rows))
    widths = [float(each.attrib["width"]) for each in drawn.iter("rect")]
    base, mtp = sum(widths[:5]), sum(widths[10:15])
    assert mtp == pytest.approx(2 * base, abs=0.5)
    assert widths[1] / base == pytest.approx(0.4, abs=0.01)


def test_the_runs_as_a_table(document: dict[str, Any]) -> None:
    lines = list(csv.DictReader(io.StringIO(runs_csv(document))))
    assert len(lines) == 4 * 3 + 2 * 3
    first = next(line for line in lines if line["run"] == "known-mtp-s2")
    assert (first["variant"], first["seed"], first["kind"], first["bits_per_byte"]) == ("mtp", "2", "steps", "2.1")
    assert float(first["backward_seconds"]) == pytest.approx(6.3e-3)
    assert first["kept_fraction"] == ""
    measured = next(run["measures"] for run in document["runs"] if run["run"] == "known-mtp-s2")
    assert float(first["between_steps_seconds"]) == pytest.approx(measured["between_steps"])


def test_the_documentation_explains_every_column_of_that_table(document: dict[str, Any]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "comparisons.md").read_text(encoding="utf-8")
    table = text[text.index("`runs.csv` has times") :].split("\n\n")[1].splitlines()[2:]
    told = [name for line in table for name in line.split("|")[1].strip().split(", ")]
    assert told == runs_csv(document).splitlines()[0].split(",")


def test_the_documentation_explains_every_key_of_the_document(document: dict[str, Any]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "comparisons.md").read_text(encoding="utf-8")
    table = text[text.index("`report.json` is one object") :].split("\n\n")[1].splitlines()[2:]
    assert [name for line in table for name in line.split("|")[1].strip().split(", ")] == list(document)


def test_an_experiment_without_any_run_has_a_page(tmp_path: Path) -> None:
    empty = built(tmp_path, lambda _: True)
    assert drawings(page(empty)) == []
    assert "NOTHING HAS BEEN TRAINED YET" in page(empty) and "Equal steps" not in page(empty)


def test_sixty_four_lines_look_different() -> None:
    assert len({look(place) for place in range(64)}) == 64
