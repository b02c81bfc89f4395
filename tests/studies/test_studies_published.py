"""Published numbers come with their source and are those of the paper."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import cast

import pytest
from made_points import DEVICE, point

from toolkit.models.catalogue.catalogue import shipped
from toolkit.store import Store
from toolkit.studies import published
from toolkit.studies.data import Point, StudyData
from toolkit.studies.leaderboard import phones_figure


def test_every_table_has_a_source_and_every_source_a_table() -> None:
    files = (resources.files("toolkit.studies") / "published_data").iterdir()
    assert {file.name.removesuffix(".csv") for file in files if file.name.endswith(".csv")} == set(
        published.sources()
    )
    assert all(published.table(name) for name in published.sources())


def data_of(*points: Point) -> StudyData:
    return StudyData(points, [], [], cast(Store, None), {})


def test_phones_that_were_measured_have_a_panel_before_the_published_one() -> None:
    other = replace(DEVICE, key="2" * 64, serial="R5CT10ABCDF", model="Pixel 8")
    virtual = replace(DEVICE, key="3" * 64, serial="127.0.0.1:5", model="Virtual Phone 1", emulated=True)
    host = replace(DEVICE, key="4" * 64, serial="local", kind="local")
    # 50 prompt tokens, and 10 of another run, which is too short to be the one that is shown.
    short = point("SmolLM-135M", device=other, conditions={"prompt_tokens": 10}, ttft_ms=1.0)
    found = [
        point("SmolLM-135M", device=one, ttft_ms=100.0 * number, decode_ms=20.0 * number)
        for number, one in enumerate((DEVICE, other, virtual, host), 1)
    ]
    real, emulated, published_one = phones_figure(data_of(short, *found)).panels
    assert (real.emulated, emulated.emulated, published_one.published) == (False, True, True)
    prefill, decode = ([row["value"] for row in chart.rows] for chart in real.charts)
    assert sorted(prefill) == [100 / 50, 200 / 50] and sorted(decode) == [20, 40]
    assert [row["value"] for row in emulated.charts[0].rows] == [300 / 50]
    assert {row["label"] for row in real.charts[0].rows} == {"SmolLM-135M"}


def test_a_longer_prompt_of_virtual_phones_hides_no_real_one() -> None:
    virtual = replace(DEVICE, key="3" * 64, serial="127.0.0.1:5", model="Virtual Phone 1", emulated=True)
    found = [
        point("SmolLM-135M", device=device, conditions={"prompt_tokens": tokens}, ttft_ms=100.0)
        for device, tokens in ((DEVICE, 50), (virtual, 512))
    ]
    *own, _ = phones_figure(data_of(*found)).panels
    assert [[row["value"] for row in panel.charts[0].rows] for panel in own] == [[100 / 50], [100 / 512]]


def test_the_leaderboards_small_models_are_shown_for_each_phone() -> None:
    (panel,) = phones_figure(data_of()).panels
    assert panel.published and "Xiaomi 14" in panel.title
    prefill, decode = (
        {(one["label"], one["series"]): one["value"] for one in chart.rows} for chart in panel.charts
    )
    phones = {series for _, series in prefill}
    assert phones == {"Xiaomi 14", "Xiaomi 12S", "Pixel 7Pro", "MEIZU 18Pro"}
    assert len({label for label, _ in prefill}) == 7 and len(prefill) == len(decode) == 28
    # 100.02 ms over 8 tokens and 46.57 ms in data.json of the leaderboard.
    assert prefill["Qwen 1.5 0.5B", "Xiaomi 14"] == pytest.approx(100.02 / 8, abs=0.01)
    assert decode["Qwen 1.5 0.5B", "Xiaomi 14"] == 46.57
    assert not {label for label, _ in prefill} & {"LLaMA 7B", "Persimmon 8B", "Yi models 6B"}


def test_the_overview_is_the_papers() -> None:
    rows = {str(row["model"]): row for row in published.table("overview")}
    assert len(rows) == 20
    # The paper's text: 1.46 times, and 25.4 % more parameters.
    first = "first_token_ms_prompt50"
    slower, faster = rows["Qwen2-0.5B"], rows["Qwen1.5-0.5B"]
    assert float(slower[first]) / float(faster[first]) == pytest.approx(1.46, abs=0.01)
    count = "params_M_llama_cpp"
    assert float(faster[count]) / float(slower[count]) - 1 == pytest.approx(0.254, abs=0.001)
    assert all(name in shipped() and "survey-latency" in shipped()[name].groups for name in rows)
    assert sum("survey-latency" in entry.groups for entry in shipped().values()) == len(rows)
