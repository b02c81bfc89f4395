"""The page in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from chromium import SHOWN, Browser, axe_script
from sample_runs import HOST, MODELS, PHONE, SCHEMES, VIRTUAL, artifact, manifest, run_of
from selenium.webdriver.common.keys import Keys

from toolkit.report import build_report
from toolkit.settings import Settings
from toolkit.store import Store

LABELS = "[...document.querySelectorAll('[data-figure=speed] .drawing')].map((one) => one.ariaLabel)"


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.open(page)
    return browser


def test_it_draws_every_figure_silently_and_asks_for_nothing(opened: Browser, page: Path) -> None:
    opened.draw_all()
    assert (
        opened.script("return document.querySelectorAll('.drawing svg').length") == 2 * 3 + 3 + 3 + 2 * 3 + 2
    )
    assert opened.console() == []
    assert opened.requests() == [page.as_uri()]


def test_filters_choose_rows_and_figures(opened: Browser) -> None:
    opened.choose("filter-backend", "executorch")
    assert opened.script(f"return {SHOWN}.length") == 24
    assert opened.script("return document.getElementById('shown').textContent") == "24 of 48 runs"
    labels = opened.script(f"return {LABELS}")
    assert len(labels) == 6 and all("ort 1.31.1" not in label and "et 1.5.1" in label for label in labels)
    opened.choose("filter-text", "qwen3 8DA4W")
    assert opened.script(f"return {SHOWN}.length") == 3
    assert all("1 configurations" in label for label in opened.script(f"return {LABELS}"))
    opened.driver.find_element("css selector", "#filters button[type=reset]").click()
    opened.wait(f"{SHOWN}.length === 48")
    opened.draw_all()
    assert opened.console() == []


def test_failed_runs_are_found_by_status_and_are_in_no_figure(opened: Browser) -> None:
    opened.choose("filter-status", "oom_killed")
    assert opened.script(f"return {SHOWN}.length") == 2
    opened.choose("filter-status", "")
    opened.choose("filter-text", "qwen3 fp32 R5CT")
    assert opened.script(f"return {LABELS}") == []


def test_emulated_devices_have_framed_panels_and_hollow_bars_of_their_own(opened: Browser) -> None:
    for wanted, serials in (("yes", {VIRTUAL.serial}), ("no", {HOST.serial, PHONE.serial})):
        opened.choose("filter-emulated", wanted)
        titles = opened.script(
            "return [...document.querySelectorAll('[data-figure=speed] h4')].map((e) => e.textContent)"
        )
        assert len(titles) == len(serials)
        assert all(any(serial in title for serial in serials) for title in titles)
        framed = opened.script(
            "return document.querySelectorAll('[data-figure=speed] figure.emulated').length"
        )
        assert framed == (1 if wanted == "yes" else 0)
    opened.choose("filter-emulated", "yes")
    opened.draw_all()
    opacities = opened.script(
        "return [...document.querySelectorAll('[data-figure=speed] .mark-rect path')]"
        ".map((bar) => Number(bar.getAttribute('fill-opacity')))"
    )
    assert opacities and max(opacities) < 0.2
    assert "EMULATED" in opened.script("return document.querySelector('[data-figure=speed] svg').textContent")
    assert "Emulated device" in opened.script(
        "return document.querySelector('[data-figure=speed] figcaption').textContent"
    )


def test_every_caption_names_its_conditions_and_every_chart_has_words_and_a_table(opened: Browser) -> None:
    captions = opened.script(
        "return [...document.querySelectorAll('[data-figure]:not([data-figure=quality]) figcaption')]"
        ".map((one) => one.textContent)"
    )
    assert captions and all("512 prompt tokens" in text and "4 threads" in text for text in captions)
    assert opened.script(
        "return [...document.querySelectorAll('.drawing')].every((one) => one.ariaLabel.length > 60)"
    )
    opened.script("for (const one of document.querySelectorAll('.chart details')) one.open = true")
    opened.wait(
        "[...document.querySelectorAll('.chart details')].every((one) => one.querySelector('tbody tr'))"
    )
    first = opened.script("return document.querySelector('.chart details tbody tr').textContent")
    assert first.startswith("SmolLM2-135M-Instruct 8da4w g32 hqq, ort 1.31.1")


def test_conditions_are_chosen_and_never_mixed(
    browser: Browser, empty_store: Store, settings: Settings, tmp_path: Path
) -> None:
    made = artifact(*MODELS[0], SCHEMES[2], "onnxruntime")
    for number, depth in enumerate((0, 0, 1024)):
        stored = run_of(made, HOST, number=number, decode=100 + number, depth=depth)
        empty_store.add_run(stored, manifest(SCHEMES[2]))
    browser.open(build_report(empty_store, tmp_path / "r.html", settings))
    assert browser.script("return document.getElementById('workload').length") == 2
    for index, depth in enumerate(("depth 0", "depth 1024")):
        browser.choose("workload", str(index))
        captions = browser.script(
            "return [...document.querySelectorAll('#speed figcaption')].map((one) => one.textContent)"
        )
        assert len(captions) == 1 and depth in captions[0]


def test_the_theme_follows_the_system_until_the_button_is_pressed(opened: Browser) -> None:
    def background() -> str:
        return str(opened.script("return getComputedStyle(document.body).backgroundColor"))

    opened.draw_all()
    assert background() == "rgb(255, 255, 255)"
    opened.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    opened.wait("document.getElementById('theme').textContent === 'Light theme'")
    assert background() == "rgb(18, 22, 29)"
    opened.driver.find_element("id", "theme").click()
    assert background() == "rgb(255, 255, 255)"
    opened.driver.find_element("id", "theme").click()
    opened.next_frame()
    opened.draw_all()
    label = opened.script(
        "return document.querySelector('.drawing .role-axis-label text').getAttribute('fill')"
    )
    assert label == "#eef2f7"
    assert opened.console() == []


def test_the_keyboard_reaches_filters_and_sorts(opened: Browser) -> None:
    button = opened.script(
        "return [...document.querySelectorAll('th button')].find((b) => b.textContent === 'Decode tok/s')"
    )
    column = "[...document.querySelectorAll('#runs-table tbody tr')].map((row) => row.cells[7].textContent)"
    button.send_keys(Keys.ENTER)
    fastest = opened.script(f"return {column}")
    known = [float(value) for value in fastest if value != "-"]
    assert known == sorted(known, reverse=True) and fastest[-2:] == ["-", "-"]
    button.send_keys(Keys.SPACE)
    slowest = opened.script(f"return {column}")
    assert slowest[:46] == fastest[:46][::-1] and slowest[-2:] == ["-", "-"]
    assert opened.script("return arguments[0].parentElement.ariaSort", button) == "ascending"
    opened.driver.find_element("id", "filter-text").send_keys("local")
    assert opened.script(f"return {SHOWN}.length") == 16
    opened.script("document.activeElement.blur(); document.body.focus()")
    opened.driver.find_element("css selector", ".skip").send_keys(Keys.ENTER)
    assert opened.script("return document.activeElement.id") == "main"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1300), ("dark", 390)])
def test_axe_finds_nothing(opened: Browser, settings: Settings, scheme: str, width: int) -> None:
    checker = axe_script(settings.cache_dir)
    opened.driver.set_window_size(width, 1400)
    if scheme == "dark":
        opened.driver.find_element("id", "theme").click()
    # A few configurations of everything: axe takes its time for each table row.
    opened.choose("filter-text", "SmolLM2 8da")
    opened.draw_all()
    opened.script("for (const one of document.querySelectorAll('details')) one.open = true")
    opened.script(checker)
    found = opened.driver.execute_async_script(
        "const done = arguments[0];"
        "axe.run(document, {resultTypes: ['violations']}).then((result) => done(result.violations"
        ".map((rule) => `${rule.id}: ${rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))}`)))"
    )
    wide = opened.script("return document.documentElement.scrollWidth - innerWidth")
    opened.driver.set_window_size(1300, 1400)
    assert found == []
    assert wide <= 0


def test_hostile_names_run_no_script(
    browser: Browser, empty_store: Store, settings: Settings, tmp_path: Path
) -> None:
    hostile = "</script><script>window.owned=1</script><img src=x onerror='window.owned=2'>${1}\u2028"
    made = artifact(f"evil/{hostile}", 1_000_000, SCHEMES[1], "onnxruntime")
    device = replace(HOST, serial=hostile, model=hostile)
    empty_store.add_run(run_of(made, device, number=1, decode=100.0), manifest(SCHEMES[1]))
    browser.open(build_report(empty_store, tmp_path / "r.html", settings, title=hostile))
    browser.draw_all()
    assert browser.script("return window.owned") is None
    assert browser.driver.title.startswith("</script>")
    assert browser.console() == []


def test_the_matrix_has_every_configuration_beside_its_quality(opened: Browser) -> None:
    rows = "[...document.querySelectorAll('#matrix-table tbody tr')]"
    cells = f"return {rows}.map((row) => [...row.children].map((one) => one.textContent))"
    shown = opened.script(cells)
    assert len(shown) == 16
    assert shown[0][0] == "SmolLM2-135M-Instruct 8da4w g32 hqq, ort 1.31.1"
    assert [float(text) for text in shown[0][1:4]] == [82.39, 0.09, 86.0] and len(shown[0]) == 4 + 3
    # Killed on the phone: not measured is no number.
    [killed] = [row for row in shown if row[0] == "Qwen3-0.6B fp32, ort 1.31.1"]
    assert killed[4:].count("-") == 1
    opened.choose("matrix-figure", "memory")
    memory = [float(row[-1]) for row in opened.script(cells)]
    assert memory == sorted(memory)
    opened.choose("filter-backend", "executorch")
    assert opened.script(f"return {rows}.length") == 8


def test_speed_goes_over_one_length_at_a_time(
    browser: Browser, empty_store: Store, settings: Settings, tmp_path: Path
) -> None:
    made = artifact(*MODELS[0], SCHEMES[2], "onnxruntime")
    # Of the runs at two depths, those of the chosen one are a line over the prompt.
    for number, (length, depth) in enumerate(((128, 0), (512, 0), (128, 1024), (512, 1024))):
        stored = run_of(
            made, HOST, number=number, decode=100 + 50 * number, prompt_tokens=length, depth=depth
        )
        empty_store.add_run(stored, manifest(SCHEMES[2]))
    browser.open(build_report(empty_store, tmp_path / "r.html", settings))
    choices = browser.script("return [...document.getElementById('workload').options].map((one) => one.text)")
    assert choices == [
        f"{length} prompt tokens, 128 generated, depth {depth}"
        for length in (128, 512)
        for depth in (0, 1024)
    ]
    browser.choose("workload", "1")
    browser.draw_all()
    browser.script("for (const one of document.querySelectorAll('#lengths details')) one.open = true")
    browser.wait("document.querySelectorAll('#lengths tbody').length === 4")
    _, decode_over_prompt, _, decode_over_depth = browser.script(
        "return [...document.querySelectorAll('#lengths tbody')].map((body) => [...body.rows]"
        ".map((row) => [1, 2].map((index) => Number(row.cells[index].textContent)))"
        ".map(([length, rate]) => [length, Math.round(rate / 50)]))"
    )
    # Decode steps become a little slower along the text: 200 and 250 tokens per second, 100 and 200.
    assert decode_over_prompt == [[128, 4], [512, 5]]
    assert decode_over_depth == [[0, 2], [1024, 4]]
    assert browser.console() == []
