"""The memory plan: nothing overlaps that lives at the same time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolkit.export.executorch.memory import Lifetime, pack

LIFETIMES = st.lists(
    st.builds(
        lambda size, first, length: Lifetime(size, first, first + length),
        st.integers(1, 1000),
        st.integers(0, 20),
        st.integers(0, 5),
    ),
    max_size=20,
)


@given(LIFETIMES)
def test_tensors_alive_together_do_not_overlap(lifetimes: list[Lifetime]) -> None:
    offsets, total = pack(lifetimes, alignment=16)
    for index, (mine, offset) in enumerate(zip(lifetimes, offsets, strict=True)):
        assert offset % 16 == 0 and offset + mine.size_bytes <= total
        for other, start in list(zip(lifetimes, offsets, strict=True))[:index]:
            together = other.first <= mine.last and mine.first <= other.last
            apart = offset + mine.size_bytes <= start or start + other.size_bytes <= offset
            assert apart or not together


def test_a_chain_of_equal_tensors_needs_two_places() -> None:
    chain = [Lifetime(64, step, step + 1) for step in range(10)]
    assert pack(chain, alignment=16)[1] == 128
