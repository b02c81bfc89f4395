from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from sample_runs import DEVICES, HOST, MODELS, SCHEMES, VIRTUAL, artifact, fill, manifest, run_of, sample_runs

from toolkit.report import build_report
from toolkit.report.content import read_content
from toolkit.report.pictures import pictures
from toolkit.settings import Settings
from toolkit.store import Store

PNG = b"\x89PNG\r\n\x1a\n"


def test_there_is_one_picture_per_chart_and_device(
    empty_store: Store, settings: Settings, tmp_path: Path
) -> None:
    fill(empty_store, sample_runs(models=MODELS[:1], devices=(HOST,)))
    folder = build_report(empty_store, tmp_path / "figures", settings, format_name="png")
    drawn = sorted(path.name.partition("-local-")[0].removesuffix(".png") for path in folder.iterdir())
    assert drawn == [
        "agreement",
        "curve",
        "decode",
        "divergence",
        "first_token",
        "memory",
        "per_token",
        "prefill",
    ]
    for path in folder.iterdir():
        content = path.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert content.startswith(PNG) and width > 1200 and height > 400


def test_every_picture_names_its_conditions_and_emulated_ones_say_so(
    store: Store, settings: Settings
) -> None:
    content = read_content(store, store.list_runs(), title="", selection="", batch=None)
    made = list(pictures(content))
    of_devices = [picture for picture in made if picture.chart not in ("divergence", "agreement")]
    # Curves of sixteen configurations are in two parts.
    assert len(of_devices) == 7 * len(DEVICES)
    for picture in of_devices:
        assert "512 prompt tokens" in picture.subtitle
        assert picture.emulated == (VIRTUAL.serial in picture.title)
    assert len({picture.file for picture in made}) == len(made)
    shown = [row["label"] for picture in of_devices if picture.chart == "curve" for row in picture.rows]
    assert len(set(shown)) == 16
    assert all("-pp512-tg128-c2048-t4" in picture.file for picture in of_devices)


def test_pictures_of_an_earlier_report_do_not_stay(
    empty_store: Store, settings: Settings, tmp_path: Path
) -> None:
    fill(empty_store, sample_runs(models=MODELS[:1], devices=(HOST,)))
    folder = build_report(empty_store, tmp_path / "figures", settings, format_name="png")
    drawn = {path.name for path in folder.iterdir()}
    for name in ("decode-old-conditions.png", "curve-part-3-of-3.png", "decoder.png", "decode.txt"):
        (folder / name).touch()
    build_report(empty_store, folder, settings, format_name="png")
    assert {path.name for path in folder.iterdir()} == drawn | {"decoder.png", "decode.txt"}


@pytest.mark.parametrize("serial", ["../../etc/passwd", "a b\n", "192.168.0.7:5555", ""])
def test_file_names_stay_in_the_folder(serial: str, empty_store: Store) -> None:
    made = artifact(*MODELS[0], SCHEMES[0], "onnxruntime")
    device = replace(HOST, serial=serial)
    empty_store.add_run(run_of(made, device, number=1, decode=10.0), manifest(SCHEMES[0]))
    content = read_content(empty_store, empty_store.list_runs(), title="", selection="", batch=None)
    for picture in pictures(content):
        assert Path(picture.file).name == picture.file and " " not in picture.file
