"""Many runs, long names and narrow windows in a real browser: quick to load, legible, whole."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from chromium import SHOWN, Browser
from label_boxes import label_problems
from sample_runs import BACKENDS, HOST, MODELS, PHONE, SCHEMES, artifact, manifest, run_of

from toolkit.report import build_report
from toolkit.settings import Settings
from toolkit.store import Store, open_store
from toolkit.store.store import write_run


def fill_large(store: Store, rounds: int) -> int:
    """Runs of 21 devices, of which every fifth is emulated, in one transaction."""
    devices = [replace(PHONE, key=f"{n:064}", serial=f"PHONE{n:03}", emulated=n % 5 == 0) for n in range(21)]
    number = 0
    with store.writing() as connection:
        for (model, parameters), scheme, (backend, _, _) in product(MODELS, SCHEMES, BACKENDS):
            made = artifact(model, parameters, scheme, backend)
            for device, _ in product(devices, range(rounds)):
                number += 1
                stored = run_of(made, device, number=number, decode=50 + number % 37, generated=65)
                write_run(connection, stored, manifest(scheme))
    return number


@pytest.fixture(scope="module")
def large_page(settings: Settings) -> Path:
    with open_store(f"sqlite:///{settings.data_dir / 'large.db'}") as large:
        assert fill_large(large, 3) >= 1000
        return build_report(large, settings.data_dir / "large.html", settings)


def test_a_thousand_runs_load_quickly_and_stay_small(browser: Browser, large_page: Path) -> None:
    assert large_page.stat().st_size < 3_000_000

    def load_seconds() -> float:
        started = time.monotonic()
        browser.open(large_page)
        browser.script("document.querySelector('.drawing').scrollIntoView()")
        browser.wait("document.querySelector('.drawing[data-drawn]')")
        return time.monotonic() - started

    # The better of two: another process may have taken the processor.
    assert min(load_seconds() for _ in range(2)) < 3
    assert browser.script("return document.querySelectorAll('[data-figure=speed] figure').length") == 6
    assert browser.script(f"return {SHOWN}.length") == 100
    assert browser.console() == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_twenty_thousand_runs_are_one_page_without_a_stall(
    browser: Browser, settings: Settings, tmp_path: Path
) -> None:
    with open_store(f"sqlite:///{tmp_path / 'r.db'}") as huge:
        assert fill_large(huge, 60) >= 20_000
        written = build_report(huge, tmp_path / "r.html", settings, limit=30_000)
    assert written.stat().st_size < 12_000_000
    started = time.monotonic()
    browser.open(written)
    browser.script("document.querySelector('.drawing').scrollIntoView()")
    browser.wait("document.querySelector('.drawing[data-drawn]')")
    assert time.monotonic() - started < 10
    started = time.monotonic()
    browser.choose("filter-text", "qwen3 hqq PHONE007")
    assert time.monotonic() - started < 3
    assert browser.script(f"return {SHOWN}.length") == 100
    assert browser.script("return document.getElementById('shown').textContent") == "120 of 20160 runs"
    check_labels(browser, written)
    assert browser.console() == []


def test_every_device_and_every_configuration_can_be_turned_to(browser: Browser, large_page: Path) -> None:
    browser.open(large_page)
    seen: set[str] = set()
    titles = "return [...document.querySelectorAll('[data-figure=speed] h4')].map((one) => one.textContent)"
    said = "return document.querySelector('[data-figure=speed] .pages [role=status]').textContent"
    turn = "document.querySelectorAll('[data-figure=speed] .all > .pages button')[1].click()"
    for first in (1, 7, 13, 19):
        assert browser.script(said) == f"Devices {first} to {min(first + 5, 21)} of 21"
        seen |= set(browser.script(titles))
        browser.script(turn)
    assert len(seen) == 21
    pages = "document.querySelector('[data-figure=steps] figure .pages')"
    assert "Configurations 1 to 8 of 16" in browser.script(f"return {pages}.textContent")
    browser.script(f"{pages}.querySelectorAll('button')[1].click()")
    assert "Configurations 9 to 16 of 16" in browser.script(f"return {pages}.textContent")
    assert browser.console() == []


def test_paper_says_which_part_of_a_long_list_is_on_it(browser: Browser, large_page: Path) -> None:
    browser.open(large_page)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        # As a reader of the paper sees it: the words of what is displayed alone.
        list_ = "document.querySelector('[data-figure=speed] .all > .pages')"
        assert browser.script(f"return {list_}.innerText") == "Devices 1 to 6 of 21"
        added = f"return getComputedStyle({list_}.querySelector('span'), '::after').content"
        assert "the others are in the page" in browser.script(added)
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.fixture(scope="module")
def pages(settings: Settings, page: Path, large_page: Path) -> dict[str, Path]:
    """Pages of all sorts: what they show at all, and names that have no room."""
    folder = settings.data_dir
    with open_store(f"sqlite:///{folder / 'none.db'}") as empty:
        nothing = build_report(empty, folder / "empty.html", settings)
    with open_store(f"sqlite:///{folder / 'failed.db'}") as store:
        for number, scheme in enumerate(SCHEMES):
            made = artifact(*MODELS[0], scheme, "onnxruntime")
            killed = run_of(made, PHONE, number=number, decode=10, status="oom_killed")
            store.add_run(killed, manifest(scheme))
        failed = build_report(store, folder / "failed.html", settings)
    serial = "adb-R5CT10ABCDE-x7Q9Lm._adb-tls-connect._tcp"
    device = replace(HOST, serial=serial, name="left shelf, slot 3")
    with open_store(f"sqlite:///{folder / 'long.db'}") as store:
        for number, length in enumerate((128, 512, 2048, 128, 512, 2048)):
            size = number // 3
            name = f"an-organisation/A-Very-Long-Model-Name-That-Goes-On-And-On-{size}B-Instruct-v0.3-preview"
            made = artifact(name, 10**9 * (1 + size), SCHEMES[size], "executorch")
            stored = run_of(made, device, number=number, decode=1e-3 * 10**number, prompt_tokens=length)
            store.add_run(stored, manifest(SCHEMES[size]))
        long = build_report(store, folder / "long.html", settings)
    return {"normal": page, "empty": nothing, "failed": failed, "large": large_page, "long": long}


@pytest.mark.parametrize("name", ["normal", "empty", "failed", "large", "long"])
def test_labels_neither_meet_nor_leave_their_charts(
    name: str, browser: Browser, pages: dict[str, Path]
) -> None:
    check_labels(browser, pages[name], endless_names=name == "long")
    assert browser.console() == []


def check_labels(browser: Browser, page: Path, *, endless_names: bool = False) -> None:
    """On a phone and on a desk, light and dark."""
    for width in (400, 1400):
        with browser.sized(width):
            browser.open(page)
            for theme in ("light", "dark"):
                browser.draw_all()
                assert label_problems(browser, endless_names=endless_names) == [], (width, theme)
                browser.driver.find_element("id", "theme").click()
                browser.next_frame()


def test_labels_are_placed_anew_when_the_page_becomes_narrower(browser: Browser, page: Path) -> None:
    with browser.sized(1400):
        browser.open(page)
        browser.draw_all()
    with browser.sized(500):
        browser.wait(
            "[...document.querySelectorAll('.drawing')].every((one) => one.querySelector('svg')"
            " && Math.abs(one.clientWidth - one.dataset.width) <= 1)"
        )
        browser.next_frame()
        assert label_problems(browser) == []
