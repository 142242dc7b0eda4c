"""Tables to windows, checked row by row with plain loops."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstm_ref.errors import ShapeError
from lstm_ref.sequences import covering_starts, forecast_windows, sliding_windows

counts = st.integers(1, 6)


def numbered(rows: int, columns: int) -> np.ndarray:
    """A table whose every value tells its row and column."""
    return np.arange(rows)[:, None] + np.arange(columns) / 10


@given(st.integers(1, 30), counts, counts, counts)
def test_each_window_holds_its_rows(N, D, window, stride):
    assume(N >= window)
    rows = numbered(N, D)
    windows = sliding_windows(rows, window, stride)
    expected = [rows[start : start + window] for start in range(0, N - window + 1, stride)]
    np.testing.assert_array_equal(windows, np.array(expected))
    windows[...] = -1  # a copy: the table stays as it was
    np.testing.assert_array_equal(rows, numbered(N, D))


@given(st.integers(1, 30), counts, counts, st.integers(0, 4))
def test_each_step_is_paired_with_the_row_a_horizon_later(N, window, stride, horizon):
    assume(N >= window + horizon)
    x, y, starts = forecast_windows(numbered(N, 2), numbered(N, 3), window, horizon, stride)
    assert x.shape == (len(starts), window, 2)
    assert y.shape == (len(starts), window, 3)
    np.testing.assert_array_equal(y[..., 0], x[..., 0] + horizon)
    np.testing.assert_array_equal(x[:, 0, 0], starts)
    # Nothing is left out that would have fitted.
    assert starts[-1] + stride + window + horizon > N


@given(st.integers(0, 60), st.integers(1, 12), st.data())
def test_covering_windows_give_every_row_once_after_its_warm_up(N, window, data):
    warm_up = data.draw(st.integers(0, window - 1))
    starts = covering_starts(N, window, warm_up)
    reached = 0  # rows predicted so far
    for start in starts:
        context = reached - start
        assert context >= (warm_up if start else 0)
        assert start + window <= max(N, window)
        reached = min(start + window, N)
    assert reached == N
    assert len(set(starts)) == len(starts)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sliding_windows(np.zeros(9), 3), r"series\[:, None\]"),
        (lambda: sliding_windows(np.zeros((2, 1)), 3), "2 rows do not fill one window of 3"),
        (
            lambda: forecast_windows(np.zeros((5, 1)), np.zeros((5, 1)), 4, horizon=2),
            "5 rows do not fill one window of 4 and the 2 after it",
        ),
        (
            lambda: forecast_windows(np.zeros((5, 1)), np.zeros((4, 1)), 2),
            "not yet shifted",
        ),
    ],
)
def test_tables_that_do_not_fit_are_told(call, sentence):
    with pytest.raises(ShapeError, match=sentence):
        call()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sliding_windows(np.zeros((9, 1)), 0), "window=0"),
        (lambda: sliding_windows(np.zeros((9, 1)), 3, stride=0), "stride=0"),
        (lambda: forecast_windows(np.zeros((9, 1)), np.zeros((9, 1)), 3, -1), "horizon=-1"),
        (lambda: covering_starts(9, 3, 3), "0 to 2"),
    ],
)
def test_counts_that_cannot_be_are_told(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
