"""Each token of a text is scored once, with as much context as the stride promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.evaluate.windows import sliding_windows


@given(st.data())
def test_each_token_is_scored_once_with_the_context_promised(data: st.DataObject) -> None:
    prefix = data.draw(st.sampled_from([(), (7,)]))
    length = data.draw(st.integers(len(prefix) + 2, 12))
    # At a stride of a whole window, first tokens go unscored; see below.
    stride = data.draw(st.integers(1, length - len(prefix) - 1))
    ids = list(range(100, 100 + data.draw(st.integers(0, 60))))
    windows = sliding_windows(ids, length, stride, prefix=prefix)
    scored = [token for window in windows for token in window.ids[window.first_scored :]]
    # Without a prefix the very first token follows from nothing.
    assert scored == (ids if prefix else ids[1:])
    assert all(len(window.ids) <= length and window.ids[: len(prefix)] == prefix for window in windows)
    assert all(window.first_scored >= length - stride for window in windows[1:])


def test_windows_that_do_not_overlap_leave_their_first_tokens_out() -> None:
    windows = sliding_windows(range(10), 4, 4)
    assert [window.ids for window in windows] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]
    assert [window.first_scored for window in windows] == [1, 1, 1]
    assert len(sliding_windows(range(10), 4, 4, maximum=2)) == 2


def test_a_text_too_short_gives_no_window() -> None:
    assert sliding_windows([5], 4, 2) == []
    assert sliding_windows([], 4, 2, prefix=[1]) == []


@pytest.mark.parametrize(("length", "stride", "prefix"), [(4, 5, ()), (4, 0, ()), (4, 4, (1,)), (1, 1, (1,))])
def test_windows_that_would_skip_tokens_are_refused(
    length: int, stride: int, prefix: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="cannot advance"):
        sliding_windows(range(9), length, stride, prefix=prefix)
