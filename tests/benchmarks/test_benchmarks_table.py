from __future__ import annotations

from benchmark_samples import results, row, sample

from benchmarks.results import Results
from benchmarks.samples import ConversionCost, Score
from benchmarks.table import markdown_table, render


def test_a_table_escapes_what_would_break_it():
    assert markdown_table(("a", "b"), [("x|y", "1\n2")]).splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x\\|y | 1 2 |",
    ]


def test_the_page_shows_rates_ratios_and_perplexity_against_fp32():
    score = Score(negative_log_likelihood=102.0, scored_tokens=50)
    page = render(
        results(
            row("ours-8da4w", [sample(200, 5)] * 2, score=score),
            row("llama.cpp-q4_0", [sample(100, 10)] * 2),
        )
    )
    assert "| title of ours-8da4w | 500.0 (500-500) | 200.0 (200-200) | 50 | 200 | 90.0 |" in page
    assert "7.691 | +4.1% |" in page
    assert "| title of llama.cpp-q4_0 | 0.50x (0.50-0.50) | 2.00x (2.00-2.00) |" in page
    assert "| decode against llama.cpp-q4_0 | >= 1.5x | 2.00x (2.00-2.00) | met |" in page
    assert "| prefill against llama.cpp-q4_0 | >= 1.2x | 0.50x (0.50-0.50) | missed |" in page


def test_a_failed_row_stays_in_the_table_and_says_why():
    page = render(
        results(row("ours-8da4w", [sample(200, 5)]), row("llama.cpp-q4_0", [], failure="prepare: no g++"))
    )
    assert "| title of llama.cpp-q4_0 (incomplete) | - | - | - | - |" in page
    assert "- title of llama.cpp-q4_0: prepare: no g++" in page
    assert "not measured" in page


def test_the_page_does_without_our_row():
    page = render(results(row("llama.cpp-q4_0", [sample(100, 10)])))
    assert "Targets" not in page
    assert "title of llama.cpp-q4_0" in page


def test_a_quick_run_is_marked():
    assert "Quick run" in render(results(row("ours-8da4w", [sample(1, 1)]), quick=True))
    assert "Quick run" not in render(results(row("ours-8da4w", [sample(1, 1)])))


def test_a_busy_machine_is_marked():
    quiet = row("ours-8da4w", [sample(1, 1)])
    busy = quiet.model_copy(update={"rounds": [quiet.rounds[0].model_copy(update={"busy_before": 0.4})]})
    assert "not quiet" in render(results(busy))
    assert "not quiet" not in render(results(quiet))


def test_conversions_are_listed():
    ours = row("ours-8da4w", []).model_copy(
        update={"conversions": [ConversionCost(label="cold", seconds=40.2, peak_rss_bytes=900_000_000)]}
    )
    assert "| title of ours-8da4w | cold | 40.2 | 900 |" in render(results(ours))


def test_the_json_holds_every_sample_and_gives_the_same_page():
    original = results(row("ours-8da4w", [sample(200, 5), sample(210, 6)]))
    again = Results.model_validate_json(original.model_dump_json())
    assert again == original
    assert render(again) == render(original)


def test_the_page_holds_our_costs_against_theirs_and_against_the_limits():
    cost = ConversionCost(label="cold", seconds=40.0, peak_rss_bytes=900_000_000)
    slower = ConversionCost(label="optimum-cli", seconds=400.0, peak_rss_bytes=3_600_000_000)
    page = render(
        results(
            row("ours-8da4w-executorch", [sample(200, 5)] * 2, engine="executorch").model_copy(
                update={"conversions": [cost]}
            ),
            row("executorch-optimum", [sample(400, 10)] * 2, engine="executorch").model_copy(
                update={"conversions": [slower]}
            ),
        )
    )
    assert "| title of executorch-optimum | 1.00x | 1.00x | 1.00x | 0.10x | 0.25x |" in page
    assert "| decode against executorch-optimum | >= 1.3x | 2.00x (2.00-2.00) | met |" in page
    assert "| conversion | <= 120 s | 40.0 s | met |" in page
    assert "| conversion memory | <= 2000 MB | 900.0 MB | met |" in page
    assert "| files | <= 100 MB | 90.0 MB | met |" in page
