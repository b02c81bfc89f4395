"""Ticks of logarithmic axes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from toolkit.report.ticks import log_ticks


@given(st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=20))
def test_ticks_enclose_all_values_and_are_few_and_round(values: list[float]) -> None:
    ticks = log_ticks(values)
    assert 2 <= len(ticks) <= 7 and ticks == sorted(set(ticks))
    assert ticks[0] <= min(values) and max(values) <= ticks[-1]
    mantissas = {round(tick / 10 ** math.floor(math.log10(tick) + 1e-9), 6) for tick in ticks}
    assert mantissas <= {1, 2, 3, 5}


def test_an_axis_is_no_wider_than_it_must_be() -> None:
    assert log_ticks([82, 2400]) == [30, 100, 300, 1000, 3000]
    assert log_ticks([120, 180]) == [100, 200]
    assert log_ticks([100]) == [100, 200]
