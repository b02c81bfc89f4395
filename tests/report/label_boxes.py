"""Boxes of the texts in a page's charts, as the browser has drawn them."""

from __future__ import annotations

from chromium import Browser

# A letter's box is a little larger than the letter.
_SLACK_PIXELS = 1.5

_PROBLEMS = r"""
const slack = arguments[0], problems = [];
const seen = (text) => text.textContent.trim() && getComputedStyle(text).opacity !== "0" && getComputedStyle(text).visibility !== "hidden";
for (const svg of document.querySelectorAll(".drawing svg")) {
  const frame = svg.getBoundingClientRect();
  const where = svg.closest("section, figure")?.id + " " + svg.closest(".chart")?.querySelector("h4, h5")?.textContent;
  const texts = [...svg.querySelectorAll("text")].filter(seen).map((text) => [text.textContent, text.getBoundingClientRect()]);
  for (const [text, box] of texts) {
    if (text.endsWith("\u2026") && !arguments[1]) problems.push(`${where}: '${text}' is cut`);
    if (box.left < frame.left - slack || box.right > frame.right + slack || box.top < frame.top - slack || box.bottom > frame.bottom + slack) {
      problems.push(`${where}: '${text}' leaves the chart`);
    }
  }
  texts.sort(([, a], [, b]) => a.top - b.top);
  for (let i = 0; i < texts.length; i += 1) {
    const [text, box] = texts[i];
    for (let j = i + 1; j < texts.length && texts[j][1].top < box.bottom - slack; j += 1) {
      const [other, another] = texts[j];
      if (another.left < box.right - slack && another.right > box.left + slack) problems.push(`${where}: '${text}' meets '${other}'`);
    }
  }
}
const page = document.documentElement;
if (page.scrollWidth > innerWidth) problems.push(`the page is ${page.scrollWidth} wide`);
for (const one of document.querySelectorAll("h1, h2, h3, h4, h5, p, figcaption, label, legend, button, dt, dd")) {
  if (one.scrollWidth > one.clientWidth + 1 && one.clientWidth && getComputedStyle(one).overflow === "hidden" && !one.matches(".hidden")) problems.push(`'${one.textContent.slice(0, 60)}' is cut`);
}
return problems.slice(0, 20);
"""  # noqa: E501


def label_problems(browser: Browser, *, endless_names: bool = False) -> list[str]:
    """Texts of charts that meet each other, leave their chart or are cut; the charts must have been drawn.

    Args:
        browser: with the page.
        endless_names: names are too long for any chart, so that they may end in dots.
    """
    found: list[str] = browser.script(_PROBLEMS, _SLACK_PIXELS, endless_names)
    return found
