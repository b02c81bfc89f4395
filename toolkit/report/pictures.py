"""The figures as PNG files, drawn from the page's own charts without a browser."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import vl_convert

from toolkit.files import write_whole
from toolkit.report import charts
from toolkit.report.configurations import unique_labels
from toolkit.report.content import Content
from toolkit.report.figures import CHARTS, CONFIGURATION_ROWS, QUALITY_ROWS, Figure, Row, figures_of
from toolkit.report.label_places import places
from toolkit.report.lengths import OVER_LENGTHS
from toolkit.report.look import chart_config
from toolkit.report.parameters import fitted
from toolkit.report.theme import LIGHT
from toolkit.report.unique_names import Names
from toolkit.settings import Settings
from toolkit.store.rows import Artifact

T = TypeVar("T")

_WIDTH = 760
# Pixels per unit: sharp in print and on dense screens.
_SCALE = 2
_SUBTITLE_LETTERS = 120


@dataclass(frozen=True)
class Picture:
    """One chart with everything it needs to be read alone.

    ``emulated`` hollows bars and points and says so in the title.
    """

    file: str
    chart: str
    title: str
    subtitle: str
    emulated: bool
    rows: Sequence[Mapping[str, Any]]


def write_pictures(content: Content, output: Path, settings: Settings) -> None:
    """Write a folder of PNG files; see :func:`toolkit.report.build_report`.

    Pictures of an earlier report that this one has none of are removed; other files stay.
    """
    output.mkdir(exist_ok=True)
    written = set()
    for picture in pictures(content):
        write_whole(output / picture.file, draw(picture))
        written.add(picture.file)
    for file in output.glob("*.png"):
        if re.split("[-.]", file.name)[0] in CHARTS and file.name not in written:
            file.unlink()


def pictures(content: Content) -> Iterator[Picture]:
    """All pictures: one per chart, device and set of conditions."""
    for figure in figures_of(content):
        for chart in figure.charts:
            if chart in OVER_LENGTHS:
                # The page's alone: it takes its lines from several sets of conditions.
                continue
            if figure.scope == "artifact":
                yield from _of_artifacts(content, figure, chart)
            else:
                yield from _of_devices(content, figure, chart)


def draw(picture: Picture) -> bytes:
    """A picture as PNG."""
    spec = fitted(charts.CHARTS[picture.chart](), _placed(picture.rows), emulated=picture.emulated)
    spec["width"] = _WIDTH
    spec["padding"] = 16
    title = f"{picture.title} - EMULATED, not measured on a phone" if picture.emulated else picture.title
    spec["title"] = {
        "text": title,
        "subtitle": textwrap.wrap(picture.subtitle, _SUBTITLE_LETTERS),
        "anchor": "start",
        "frame": "bounds",
        "offset": 12,
        "color": LIGHT.warning if picture.emulated else LIGHT.text,
        "subtitleColor": LIGHT.muted,
    }
    drawn: bytes = vl_convert.vegalite_to_png(spec, scale=_SCALE, config=chart_config(LIGHT))
    return drawn


def _of_devices(content: Content, figure: Figure, chart: str) -> Iterator[Picture]:
    labels = unique_labels(content.configurations, content.names)
    alike = Counter(workload.file_name for workload in content.workloads)
    for number, workload in enumerate(content.workloads, start=1):
        conditions = workload.file_name + (f"-{number}" if alike[workload.file_name] > 1 else "")
        for device in content.devices:
            mine = [
                (label, configuration)
                for label, configuration in zip(labels, content.configurations, strict=True)
                if configuration.device.key == device.key
                and configuration.workload == workload
                and CONFIGURATION_ROWS[chart](configuration)
            ]
            for part, shown in _parts(mine, figure.limit):
                yield Picture(
                    file=f"{chart}-{_file_name(device.serial)}-{device.key[:6]}-{conditions}{part}.png",
                    chart=chart,
                    title=f"{CHARTS[chart].title}: {content.names.device(device)}",
                    subtitle=f"{workload}.{part.replace('-', ' ')}",
                    emulated=device.emulated,
                    rows=[
                        _named(row, label, configuration.artifact, content.names)
                        for label, configuration in shown
                        for row in CONFIGURATION_ROWS[chart](configuration)
                    ],
                )


def _of_artifacts(content: Content, figure: Figure, chart: str) -> Iterator[Picture]:
    for part, shown in _parts(content.qualities, figure.limit):
        positions = sorted({quality.positions for quality in shown})
        yield Picture(
            file=f"{chart}{part}.png",
            chart=chart,
            title=CHARTS[chart].title,
            subtitle=f"Against fp32 transformers on {'/'.join(map(str, positions))} positions of fixed "
            f"prompts.{part.replace('-', ' ')}",
            emulated=False,
            rows=[
                _named(row, quality.label(content.names), quality.artifact, content.names)
                for quality in shown
                for row in QUALITY_ROWS[chart](quality)
            ],
        )


def _parts(shown: Sequence[T], limit: int) -> Iterator[tuple[str, Sequence[T]]]:
    """So many at once, each with an end for its file's name: `-part-2-of-3`."""
    parts = -(-len(shown) // limit)
    for number in range(parts):
        end = f"-part-{number + 1}-of-{parts}" if parts > 1 else ""
        yield end, shown[number * limit : (number + 1) * limit]


def _placed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of points with the place of their names; others as they are."""
    if not rows or "size_mb" not in rows[0]:
        return [dict(row) for row in rows]
    found = places([(row["size_mb"], max(row["value"], 1e-12), str(row["name"])) for row in rows])
    return [{**row, "place": place} for row, place in zip(rows, found, strict=True)]


def _named(row: Row, label: str, artifact: Artifact, names: Names) -> dict[str, object]:
    return {
        **row,
        "label": label,
        "model": names.model(artifact),
        "name": names.quantization(artifact),
        "backend": artifact.backend,
    }


def _file_name(serial: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", serial)[:40].strip(".-") or "device"
