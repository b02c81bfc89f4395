"""A headless Chromium that keeps to itself, and what tests ask of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

AXE = "axe-core@4.14.1"
# The rows of the table of runs that are not filtered away, in JavaScript.
SHOWN = "[...document.querySelectorAll('#runs-table tbody tr')].filter((row) => !row.hidden)"

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,1400",
)


class Browser:
    """One browser; ``open`` starts anew with a page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path) -> None:
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.console()
        self.requests()
        self.driver.get(page.as_uri())

    @contextmanager
    def sized(self, width: int) -> Iterator[None]:
        """The page that wide, which a window cannot be below its own least width."""
        size = {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def script(self, text: str, *arguments: object) -> Any:
        return self.driver.execute_script(text, *arguments)

    def wait(self, condition: str, seconds: float = 20) -> None:
        """Until a JavaScript expression holds."""
        WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(
            lambda driver: driver.execute_script(f"return Boolean({condition})"), condition
        )

    def draw_all(self) -> None:
        """Draw every chart, as printing does, and wait for them."""
        self.script("dispatchEvent(new Event('beforeprint'))")
        self.wait(
            "[...document.querySelectorAll('.drawing')]"
            ".every((one) => 'drawn' in one.dataset && one.querySelector('svg'))"
        )

    def choose(self, element_id: str, value: str) -> None:
        """Set a field as a user does and let the page react."""
        self.script(
            "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
            "field.dispatchEvent(new Event('input', {bubbles: true}));"
            "field.dispatchEvent(new Event('change', {bubbles: true}));",
            element_id,
            value,
        )
        self.next_frame()

    def next_frame(self) -> None:
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        )

    def console(self) -> list[str]:
        """What was written to the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """URLs that were asked for since the last call, but those inside the page."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        urls = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(("data:", "blob:", "about:"))]


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own.

    Skips the test when Debian's packages are missing.
    """
    binary, driver_binary = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver_binary is None:
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_binary))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def axe_script(cache_dir: Path) -> str:
    """The accessibility checker's JavaScript, from the npm registry; kept in the cache.

    Skips the test when npm cannot get it.
    """
    kept = cache_dir / "report" / f"{AXE}.js"
    if not kept.is_file():
        folder = kept.parent / "axe"
        folder.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("needs npm for axe-core")
        done = subprocess.run(
            [npm, "pack", AXE, "--silent", "--pack-destination", str(folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode:
            pytest.skip(f"npm cannot get {AXE}: {done.stderr[-200:]}")
        with tarfile.open(folder / done.stdout.split()[-1]) as archive:
            script = archive.extractfile("package/axe.min.js")
            assert script is not None
            kept.write_bytes(script.read())
        shutil.rmtree(folder)
    return kept.read_text()
