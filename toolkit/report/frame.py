"""The frame of every page: templates, style, scripts and the policy under which they run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from toolkit.report.theme import DARK, LIGHT

_ASSETS = Path(__file__).with_name("assets")


def render(template: str, library: str, scripts: Sequence[str], data: object, **values: object) -> str:
    """A page that needs nothing else: style, data and scripts are inlined.

    Args:
        template: a file of the assets.
        library: JavaScript of Vega, Vega-Lite and vega-embed; see :mod:`toolkit.report.library`.
        scripts: files of the assets, in the order in which they run.
        data: JSON data that the scripts read.
        values: for the template.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    texts = [library, *((_ASSETS / name).read_text(encoding="utf-8") for name in scripts)]
    return environment.get_template(template).render(
        policy=_policy(texts),
        style=Markup(_style()),
        data=Markup(_json(data)),
        scripts=[Markup(script) for script in texts],
        licenses=Markup((_ASSETS / "LICENSES.txt").read_text(encoding="utf-8")),
        **values,
    )


def short(value: float | int | str) -> float | int | str:
    """Numbers cut to five digits: a fifth of the page's size."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _json(data: object) -> str:
    """JSON that is safe inside a script element: a model's name may hold ``</script>``."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _style() -> str:
    return "\n".join(
        (
            f":root {{ color-scheme: light; {LIGHT.css()} }}",
            f"@media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {DARK.css()} }} }}",
            f":root[data-theme=light] {{ color-scheme: light; {LIGHT.css()} }}",
            f":root[data-theme=dark] {{ color-scheme: dark; {DARK.css()} }}",
            f"@media print {{ :root, :root[data-theme] {{ color-scheme: light; {LIGHT.css()} }} }}",
            (_ASSETS / "report.css").read_text(encoding="utf-8"),
        )
    )


def _policy(scripts: Sequence[str]) -> str:
    """A policy under which the page cannot load anything nor run anything but its own scripts."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
