"""Figures about models: whole, offline, and telling what is wrong."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from chromium import Browser, axe_script

from toolkit.errors import UsageError
from toolkit.models.catalogue.catalogue import shipped
from toolkit.models.catalogue.selection import Selection, select
from toolkit.report.catalogue_figures import write_figures
from toolkit.settings import Settings

ENTRIES = select(shipped().values(), Selection())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (written,) = write_figures(
        ENTRIES, tmp_path_factory.mktemp("figures") / "models.html", format_name="html"
    )
    return written


def test_the_page_holds_every_figure_in_both_themes_and_asks_for_nothing(page: Path) -> None:
    text = page.read_text()
    assert len(re.findall("<svg", text)) == 2 * 4
    assert "<script" not in text and "Phi-3-mini" in text and "94 models" in text
    outside = re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']+)""", text)
    assert outside == []


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 400), ("dark", 400), ("light", 1400), ("dark", 1400)]
)
def test_a_browser_shows_each_figure_once_in_the_reader_s_theme(
    browser: Browser, page: Path, settings: Settings, scheme: str, width: int
) -> None:
    checker = axe_script(settings.cache_dir)
    with browser.sized(width):
        browser.open(page)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        browser.next_frame()
        seen = browser.script(
            "return [...document.querySelectorAll('section > div')].filter((one) => one.offsetHeight > 100)"
            ".map((one) => one.className)"
        )
        assert seen == [scheme] * 4
        # The drawings scroll in a frame of their own, the page does not.
        assert browser.script("return document.documentElement.scrollWidth - innerWidth") <= 0
        texts = browser.script(
            "const shown = [...document.querySelectorAll(`.${arguments[0]} svg`)];"
            "return shown.map((one) => one.querySelectorAll('text').length)",
            scheme,
        )
        assert all(count > 10 for count in texts)
        browser.script("for (const one of document.querySelectorAll('details')) one.open = true")
        browser.script(checker)
        found = browser.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run(document, {resultTypes: ['violations']}).then((result) => done(result.violations"
            ".map((rule) => `${rule.id}: ${rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))}`)))"
        )
        assert found == []
    assert browser.console() == [] and browser.requests() == [page.as_uri()]


def test_figures_are_drawings_or_numbers(tmp_path: Path) -> None:
    files = write_figures(ENTRIES, tmp_path / "svg", format_name="svg", figures=["datasets"])
    assert [file.name for file in files] == ["datasets.svg"]
    assert ElementTree.parse(files[0]).getroot().tag.endswith("svg")
    names = [file.name for file in write_figures(ENTRIES, tmp_path / "csv", format_name="csv")]
    assert names == ["architecture.csv", "datasets.csv", "tokens.csv", "accuracy.csv"]
    rows = list(csv.DictReader((tmp_path / "csv" / "tokens.csv").read_text().splitlines()))
    # No accuracy is an empty cell and not 0.
    assert {row["commonsense"] for row in rows if row["model"] == "Qwen3-0.6B"} == {""}


def test_one_model_without_accuracy_is_drawn_too(tmp_path: Path) -> None:
    (page,) = write_figures([shipped()["Qwen3-0.6B"]], tmp_path / "one.html", format_name="html")
    assert "One model of" in page.read_text()


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="format"):
        write_figures(ENTRIES, tmp_path, format_name="pdf")
    with pytest.raises(UsageError, match="'acuracy'"):
        write_figures(ENTRIES, tmp_path, format_name="svg", figures=["acuracy"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_figures(ENTRIES, tmp_path / "file", format_name="svg")
