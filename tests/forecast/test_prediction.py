"""A forecast for every row: window by window the same as the model gives by hand."""

import numpy as np
import pytest

from lstm_ref.errors import ShapeError
from lstm_ref.forecast import Recipe, build_model, forecast
from lstm_ref.layers import LSTM, Dense
from lstm_ref.model import Sequential
from lstm_ref.sequences import Table

T = 6


@pytest.fixture
def table(rng) -> Table:
    return Table(("a", "b"), rng.normal(size=(29, 2)) * [3.0, 0.1] + [20.0, 1.0])


@pytest.fixture
def recipe(table) -> Recipe:
    return Recipe.fit(table, ["a", "b"], ["b"], T, 1, rows=20)


def by_hand(model: Sequential, recipe: Recipe, rows: np.ndarray) -> np.ndarray:
    """The model's output for one stretch of rows without gaps, in the table's units."""
    x = recipe.feature_scaling.apply(rows)[None]
    return recipe.target_scaling.invert(model(x)[0])


def test_each_row_is_predicted_from_its_window(recipe, table):
    model = build_model(recipe, units=4, seed=1)
    found = forecast(model, recipe, table)
    assert found.shape == (29, 1)
    # Windows of 6 begin every 3 rows; the last one ends with the table.
    for start in [0, 3, 6, 9, 12, 15, 18, 21, 23]:
        expected = by_hand(model, recipe, table.values[start : start + T])
        new = slice(0 if start == 0 else 3 if start < 23 else 4, T)
        np.testing.assert_allclose(found[start : start + T][new], expected[new], rtol=1e-6)


@pytest.mark.parametrize("N", [0, 1, 5])
def test_a_table_shorter_than_a_window_works(recipe, table, N):
    model = build_model(recipe, units=4, seed=1)
    short = Table(table.columns, table.values[:N])
    found = forecast(model, recipe, short)
    assert found.shape == (N, 1)
    full = by_hand(model, recipe, table.values[:T])
    np.testing.assert_allclose(found, full[:N], rtol=1e-6)


def test_nothing_after_a_row_reaches_its_forecast(recipe, table):
    model = build_model(recipe, units=4, seed=1)
    found = forecast(model, recipe, table)
    changed = table.values.copy()
    changed[17:] += 5
    after = forecast(model, recipe, Table(table.columns, changed))
    np.testing.assert_array_equal(after[:17], found[:17])
    assert not np.isclose(after[17:], found[17:]).any()


def test_a_missing_row_repeats_the_forecast_before_it(recipe, table):
    model = build_model(recipe, units=4, seed=1)
    table.values[5, 0] = np.nan
    found = forecast(model, recipe, table)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[5], found[4])


def test_missing_values_need_a_masking_layer(recipe, table):
    model = build_model(recipe, units=4, masking=False)
    table.values[5, 0] = np.nan
    with pytest.raises(ValueError, match="row 6 has no a, and this model was trained without"):
        forecast(model, recipe, table)


def test_a_model_of_another_width_is_told(recipe, table):
    layers = [LSTM(3, return_sequences=True, input_shape=(T, 2)), Dense(2)]
    with pytest.raises(ShapeError, match=r"one value a step for each of \('b',\)"):
        forecast(Sequential(layers), recipe, table)


def test_missing_columns_are_named(recipe, table):
    with pytest.raises(ValueError, match="no column 'b'; the table has 'a'"):
        forecast(build_model(recipe, units=2), recipe, Table(("a",), table.values[:, :1]))
