"""Published numbers come with their source and are those of the paper."""

from __future__ import annotations

from importlib import resources

import pytest

from toolkit.models.catalogue.catalogue import shipped
from toolkit.studies import published
from toolkit.studies.leaderboard import phones_figure


def test_every_table_has_a_source_and_every_source_a_table() -> None:
    files = (resources.files("toolkit.studies") / "published_data").iterdir()
    assert {file.name.removesuffix(".csv") for file in files if file.name.endswith(".csv")} == set(
        published.sources()
    )
    assert all(published.table(name) for name in published.sources())


def test_the_leaderboards_small_models_are_shown_for_each_phone() -> None:
    (panel,) = phones_figure().panels
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
