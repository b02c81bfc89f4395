"""The front is what a search through all pairs finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolkit.analysis.pareto import pareto_front

costs = st.tuples(st.integers(0, 6).map(float), st.integers(0, 6).map(float), st.integers(0, 6).map(float))


@given(st.lists(costs, max_size=25))
def test_nothing_on_the_front_is_beaten_and_everything_else_is(things: list[tuple[float, ...]]) -> None:
    front = pareto_front(things, lambda one: one)

    def beaten(one: tuple[float, ...]) -> bool:
        return any(
            all(b <= a for a, b in zip(one, other, strict=True))
            and any(b < a for a, b in zip(one, other, strict=True))
            for other in things
        )

    assert front == sorted({one for one in things if not beaten(one)})
