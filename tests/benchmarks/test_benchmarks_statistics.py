from __future__ import annotations

import pytest
from benchmark_samples import results, row, sample
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.samples import ConversionCost
from benchmarks.statistics import decode_rates, prefill_rates, ratio, summarize
from benchmarks.targets import (
    check_limits,
    check_targets,
    compare,
    compare_cost,
    leading_rows,
    opponents,
)

_RATES = st.lists(st.floats(1.0, 1e4), min_size=1, max_size=5)


def test_rates_leave_the_warm_up_out_and_divide_by_the_steps_timed():
    one = sample(prefill_ms=200, step_ms=10)
    assert prefill_rates(one, 100) == pytest.approx([500.0, 500.0])
    assert decode_rates(one) == pytest.approx([100.0, 100.0])


def test_a_summary_holds_median_and_range():
    summary = summarize([3.0, 1.0, 10.0])
    assert (summary.median, summary.low, summary.high, summary.samples) == (3.0, 1.0, 10.0, 3)


def test_a_summary_of_nothing_is_refused():
    with pytest.raises(ValueError):
        summarize([])


def test_a_ratio_pairs_the_rounds():
    # The machine is twice as fast in the second round; the engines' ratio is the same in both.
    result = ratio([[30.0], [60.0]], [[20.0], [40.0]])
    assert (result.of_medians, result.low, result.high) == pytest.approx((1.5, 1.5, 1.5))


def test_a_ratio_needs_equal_rounds():
    with pytest.raises(ValueError, match="2 rounds against 1"):
        ratio([[1.0], [2.0]], [[1.0]])
    with pytest.raises(ValueError):
        ratio([], [])


@given(st.lists(_RATES, min_size=1, max_size=5), st.floats(0.1, 10.0))
def test_the_ratio_to_a_scaled_copy_is_the_scale(rounds, scale):
    result = ratio([[value * scale for value in values] for values in rounds], rounds)
    assert result.of_medians == pytest.approx(scale)
    assert result.low == pytest.approx(scale)
    assert result.high == pytest.approx(scale)


def test_only_rounds_that_both_finished_are_compared():
    ours = row("ours-8da4w", [sample(100, 5), sample(100, 5)])
    theirs = row("llama.cpp-q4_0", [sample(150, 10)], failure="round 2 of 2: killed")
    compared = compare(results(ours, theirs), ours, theirs, "decode")
    assert compared is not None
    assert compared.of_medians == pytest.approx(2.0)


def test_targets_say_met_missed_and_not_measured():
    ours = row("ours-8da4w", [sample(100, 5)])
    theirs = row("llama.cpp-q4_0", [sample(110, 10)])
    verdicts = {(v.target.metric, v.target.peer): v for v in check_targets(results(ours, theirs), ours)}
    assert verdicts["decode", "llama.cpp-q4_0"].met
    missed = verdicts["prefill", "llama.cpp-q4_0"]
    assert missed.ratio is not None and not missed.met
    unmeasured = verdicts["decode", "genai-same-artifact-as-shipped"]
    assert unmeasured.ratio is None and not unmeasured.met


def test_each_engine_has_a_leading_row_and_its_own_targets():
    ours = row("ours-8da4w", [sample(100, 5)])
    program = row("ours-8da4w-executorch", [sample(100, 5)], engine="executorch")
    theirs = row("executorch-optimum", [sample(250, 6)], engine="executorch")
    run = results(ours, row("ours-mobile-4bit", [sample(1, 1)]), program, theirs)
    assert [leading.name for leading in leading_rows(run)] == ["ours-8da4w", "ours-8da4w-executorch"]
    verdicts = {verdict.target.metric: verdict for verdict in check_targets(run, program)}
    assert verdicts["prefill"].met and not verdicts["decode"].met
    assert [row.name for row in opponents(run, program)] == ["executorch-optimum"]
    assert len(opponents(run, ours)) == 3


def test_costs_are_compared_and_held_against_limits():
    conversion = ConversionCost(label="cold", seconds=60.0, peak_rss_bytes=2_500_000_000)
    update = {"conversions": [conversion], "files_bytes": 99_000_000}
    ours = row("ours-8da4w-executorch", [sample(100, 5)], engine="executorch").model_copy(update=update)
    verdicts = {verdict.limit.metric: verdict for verdict in check_limits(ours)}
    assert verdicts["conversion"].met and verdicts["files"].met
    assert verdicts["conversion memory"].measured == pytest.approx(2500.0)
    assert not verdicts["conversion memory"].met
    theirs = row("executorch-optimum", []).model_copy(update={"conversions": [conversion]})
    assert compare_cost(ours, theirs, "conversion") == pytest.approx(1.0)
    assert compare_cost(ours, theirs, "files") == pytest.approx(1.1)
    assert compare_cost(ours, theirs, "load") is None
    assert not check_limits(row("ours-8da4w", []))


def test_a_limit_without_a_figure_is_not_met():
    verdicts = check_limits(row("ours-8da4w-executorch", [], engine="executorch"))
    assert [verdict.limit.metric for verdict in verdicts if verdict.measured is None] == [
        "conversion",
        "conversion memory",
    ]
    assert not verdicts[0].met
