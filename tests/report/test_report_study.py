"""A study's report: in a real browser, and as other files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from chromium import Browser, axe_script
from label_boxes import label_problems

from toolkit.analysis.findings import Finding
from toolkit.errors import UsageError
from toolkit.report.batch import BatchStatus, BatchStep
from toolkit.report.study_content import Chart, Panel, Row, StudyContent, StudyFigure, Table
from toolkit.report.study_formats import FORMATS
from toolkit.settings import Settings
from toolkit.studies.overview import AUTHORS_COUNT

HOSTILE = "</script><script>window.owned=1</script>"
# As long as the names of devices are.
DEVICES = (
    "Samsung SM-S928B Galaxy S24 Ultra (R5CT10ABCDE)",
    "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz (local)",
)
KINDS: dict[str, list[Row]] = {
    "scatter": [
        {
            "label": f"m{n}",
            "family": f"f{n % 3}",
            "series": "s",
            "x": 1e8 * (n + 1),
            "y": 2.0 + n,
            "low": 1.5 + n,
            "high": 3.0 + n,
        }
        for n in range(9)
    ],
    "lines": [{"series": DEVICES[n % 2], "x": float(n), "y": 1000.0 + n} for n in range(8)],
    "stacked": [{"label": f"m{n % 2}", "part": f"p{n}", "value": 1.0 + n} for n in range(4)],
    "bars": [
        {"label": f"m{n % 2}", "series": f"s{n}", "value": 1.0 + n, "low": 0.5 + n, "high": 1.5 + n}
        for n in range(4)
    ],
}


def made() -> StudyContent:
    charts = [
        Chart(kind, kind, {"x": AUTHORS_COUNT, "y": "y"}, rows, {name: name for name in rows[0]})
        for kind, rows in KINDS.items()
    ]
    panels = [
        Panel("A phone", "Conditions: some.", charts),
        Panel("A virtual phone", "Conditions: some.", charts[:1], emulated=True),
        Panel("Jetson", "A paper, Fig. 7.", charts[:1], published=True),
        Panel("Nothing", "Conditions: some.", [replace(charts[0], rows=[])]),
    ]
    verdicts = ("supported", "contradicted", "not enough data")
    return StudyContent(
        title=f"Latency {HOSTILE}",
        question="How long?",
        created=datetime.now(UTC),
        toolkit_version="0",
        facts=[("Models", "9")],
        conditions=["Some."],
        table=Table([("Model", False), ("ms", True)], [["m1", "2.0"], [HOSTILE, "3.0"]]),
        figures=[StudyFigure("latency", "Latency", "Medians.", panels)],
        findings=[
            Finding(
                f"statement {one}", "survey", "A phone", one, "R2 0.9", "9 models", ("run1",), "supported"
            )  # type: ignore[arg-type]
            for one in verdicts
        ],
        left_out=[("huge", "needs 99 GB")],
        batch=BatchStatus(
            name="study",
            steps=(BatchStep(name="convert x", kind="convert", state="failed", detail="no operator"),),
        ),
    )


@pytest.fixture(scope="module")
def page(settings: Settings) -> Path:
    output = settings.data_dir / "study.html"
    FORMATS.get("html")(made(), output, settings)
    return output


def test_it_draws_every_chart_silently_and_asks_for_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.draw_all()
    assert browser.script("return document.querySelectorAll('.drawing svg').length") == 4 + 1 + 1
    assert browser.console() == [] and browser.requests() == [page.as_uri()]
    assert browser.script("return window.owned") is None
    panels = browser.script("return [...document.querySelectorAll('figure')].map((one) => one.className)")
    assert panels == ["", "emulated", "published", ""]
    text = browser.script("return document.body.innerText")
    assert "Not measured." in text and "needs 99 GB" in text and "no operator" in text
    assert "1 supported, 1 contradicted, 1 not enough data" in text


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 400), ("dark", 400), ("light", 1400), ("dark", 1400)]
)
def test_labels_neither_meet_nor_leave_their_charts(
    browser: Browser, page: Path, scheme: str, width: int
) -> None:
    with browser.sized(width):
        browser.open(page)
        if scheme == "dark":
            browser.driver.find_element("id", "theme").click()
            browser.next_frame()
        browser.draw_all()
        assert label_problems(browser) == [] and browser.console() == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 400), ("dark", 1400)])
def test_axe_finds_nothing(browser: Browser, page: Path, settings: Settings, scheme: str, width: int) -> None:
    checker = axe_script(settings.cache_dir)
    browser.driver.set_window_size(width, 1400)
    browser.open(page)
    if scheme == "dark":
        browser.driver.find_element("id", "theme").click()
    browser.draw_all()
    browser.script("for (const one of document.querySelectorAll('details')) one.open = true")
    browser.script(checker)
    found = browser.driver.execute_async_script(
        "const done = arguments[0];"
        "axe.run(document, {resultTypes: ['violations']}).then((result) => done(result.violations"
        ".map((rule) => `${rule.id}: ${rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))}`)))"
    )
    wide = browser.script("return document.documentElement.scrollWidth - innerWidth")
    browser.driver.set_window_size(1300, 1400)
    assert found == [] and wide <= 0


def test_numbers_and_verdicts_are_in_every_format(settings: Settings, tmp_path: Path) -> None:
    FORMATS.get("json")(made(), tmp_path / "r.json", settings)
    said = json.loads((tmp_path / "r.json").read_text())
    assert [one["verdict"] for one in said["findings"]] == ["supported", "contradicted", "not enough data"]
    assert said["table"] == {"columns": ["Model", "ms"], "rows": [["m1", "2.0"], [HOSTILE, "3.0"]]}
    assert [panel["published"] for panel in said["figures"][0]["panels"]] == [False, False, True, False]
    FORMATS.get("md")(made(), tmp_path / "r.md", settings)
    text = (tmp_path / "r.md").read_text()
    assert "| contradicted | statement contradicted |" in text and "<script>" not in text
    assert "- statement contradicted, on A phone: run1\n" in text
    FORMATS.get("svg")(made(), tmp_path / "figures", settings)
    files = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert files == [
        *(f"latency-1-{number}.svg" for number in (1, 2, 3, 4)),
        "latency-2-1.svg",
        "latency-published-1.svg",
    ]
    drawn = {file: (tmp_path / "figures" / file).read_text() for file in files}
    assert all(ElementTree.fromstring(text).tag.endswith("svg") for text in drawn.values())
    assert (
        "EMULATED" in drawn["latency-2-1.svg"] and "published by others" in drawn["latency-published-1.svg"]
    )
    with pytest.raises(UsageError, match="'pdf'"):
        FORMATS.get("pdf")
