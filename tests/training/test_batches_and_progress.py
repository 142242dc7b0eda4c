"""Batches, and what a run writes while it goes on."""

import io
import re
import sys

import numpy as np
import pytest

from lstm_ref.errors import ShapeError
from lstm_ref.training.batches import Data, checked_batch_size, steps_for
from lstm_ref.training.progress import Progress, verbosity
from lstm_ref.training.sources import split


def rows(n, weighted=False):
    x = np.arange(n)[:, None]
    return Data(x, 10 * x, 100 * x if weighted else None)


def test_batches_hold_every_row_once_and_the_rest_last():
    batches = list(rows(7, weighted=True).batches(3))
    assert [len(batch.x) for batch in batches] == [3, 3, 1]
    assert steps_for(7, 3) == 3
    np.testing.assert_array_equal(np.concatenate([b.x for b in batches])[:, 0], range(7))
    for batch in batches:
        np.testing.assert_array_equal(batch.y, 10 * batch.x)
        np.testing.assert_array_equal(batch.weight, 100 * batch.x)


def test_an_order_is_followed_by_x_y_and_weights_alike():
    order = np.array([4, 0, 3, 1, 2])
    batches = list(rows(5, weighted=True).batches(2, order))
    np.testing.assert_array_equal(np.concatenate([b.x for b in batches])[:, 0], order)
    for batch in batches:
        np.testing.assert_array_equal(batch.y, 10 * batch.x)
        np.testing.assert_array_equal(batch.weight, 100 * batch.x)


def test_rows_in_their_own_order_are_not_copied():
    data = rows(4)
    assert all(np.shares_memory(batch.x, data.x) for batch in data.batches(2))


@pytest.mark.parametrize(("n", "fraction", "left"), [(10, 0.2, 8), (10, 0.25, 7), (3, 0.5, 1)])
def test_split_takes_the_tail_at_keras_index(n, fraction, left):
    x = np.arange(n)[:, None]
    (first, _, nothing), (last, y, _), at = split(x, 10 * x, None, fraction)
    np.testing.assert_array_equal(first[:, 0], range(left))
    np.testing.assert_array_equal(last[:, 0], range(left, n))
    np.testing.assert_array_equal(y, 10 * last)
    assert (nothing, at) == (None, left)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_split_needs_a_row_on_both_sides(fraction):
    with pytest.raises(ShapeError, match="both parts need one"):
        split(np.zeros((1, 1)), np.zeros((1, 1)), None, fraction)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True, "8"])
def test_a_batch_size_is_a_positive_whole_number(batch_size):
    with pytest.raises(ValueError, match="positive whole number"):
        checked_batch_size(batch_size)
    assert checked_batch_size(None) == 32
    assert checked_batch_size(np.int64(4)) == 4


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(verbose):
    with Progress(2, verbose) as progress:
        progress.advance({"loss": 1.0})
        progress.advance({"loss": 0.5})
        progress.finish({"loss": 0.25, "mae": 1e-5})


def test_verbose_2_writes_keras_line_once(capsys):
    run(2)
    line = r"2/2 - 0s - \d+(us|ms|s)/step - loss: 0\.2500 - mae: 1\.0000e-05\n"
    assert re.fullmatch(line, capsys.readouterr().out)


def test_verbose_1_writes_one_line_where_no_line_can_be_redrawn(capsys):
    run(1)
    line = r"2/2 ━{20} 0s \d+(us|ms|s)/step - loss: 0\.2500 - mae: 1\.0000e-05\n"
    assert re.fullmatch(line, capsys.readouterr().out)


def test_verbose_0_writes_nothing(capsys):
    run(0)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_that_fills(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert verbosity("auto") == 1
    numbers = {f"metric_{n}": 1.0 for n in range(20)}  # far more than fits on a line
    with Progress(2, 1) as progress:
        progress.advance({"loss": 1.0})
        progress.advance({"loss": 0.5, **numbers})
        progress.finish({"loss": 0.25, **numbers})
    drawn = terminal.getvalue().split("\r")
    assert any(line.startswith("1/2 " + "━" * 10 + "─" * 10) for line in drawn)
    assert all(len(line) <= 80 for line in drawn[:-1])
    # What stays is the whole line, however long.
    last = r"2/2 ━{20} 0s \d+(us|ms|s)/step - loss: 0\.2500.* - metric_19: 1\.0000\n"
    assert re.fullmatch(last, drawn[-1])


def test_auto_is_silent_in_pipes(capsys):
    assert verbosity("auto") == 0
    with pytest.raises(ValueError, match="verbose='loud': 'auto', 0, 1 or 2 is needed"):
        verbosity("loud")


def test_an_error_leaves_no_finished_line(capsys):
    with pytest.raises(RuntimeError), Progress(2, 2):
        raise RuntimeError
    assert capsys.readouterr().out == ""
