"""The plotting library's JavaScript, out of the vl-convert wheel: no network, and the version is pinned."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import vl_convert

from toolkit.files import write_whole


def javascript(cache_dir: Path) -> str:
    """Vega, Vega-Lite and vega-embed as one script that defines ``vegaEmbed``.

    Bundling takes seconds, so the result is kept.

    Args:
        cache_dir: the toolkit's cache.
    """
    vega = f"vega-{vl_convert.get_vega_version()}-embed-{vl_convert.get_vega_embed_version()}"
    kept = cache_dir / "report" / f"{vega}-vl-convert-{version('vl-convert-python')}.js"
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    # A script element ends at the first "</script", wherever it stands, and not at all after "<!--<script".
    bundle: str = vl_convert.javascript_bundle(snippet="window.vegaEmbed = vegaEmbed;")
    script = bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, script)
    return script
