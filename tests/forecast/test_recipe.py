"""What travels with a forecasting model, and what rows become by it."""

import json

import numpy as np
import pytest

from lstm_ref.errors import ModelFormatError, ShapeError
from lstm_ref.forecast.recipe import MISSING_STEP, Recipe
from lstm_ref.sequences import Table

NAN = np.nan
TABLE = Table(
    ("t", "u", "p"),
    np.array([[1.0, 10.0, 5.0], [3.0, NAN, 6.0], [5.0, 20.0, NAN], [7.0, 60.0, 9.0]]),
)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe.fit(TABLE, ["t", "u"], ["p", "t"], window=6, horizon=2, rows=3)


def test_scalings_come_from_the_rows_that_train(recipe):
    np.testing.assert_allclose(recipe.feature_scaling.mean, [3.0, 15.0])
    np.testing.assert_allclose(recipe.target_scaling.mean, [5.5, 3.0])
    np.testing.assert_allclose(recipe.target_scaling.std, [0.5, np.std([1, 3, 5])])
    assert recipe.columns == ("t", "u", "p")
    assert recipe.warm_up == 3


def test_a_row_with_a_missing_feature_is_a_missing_step(recipe):
    t = np.array([-2.0, 0.0, 2.0, 4.0]) / np.std([1, 3, 5])
    expected = np.stack([t, [-1, MISSING_STEP, 1, 9]], axis=1)
    expected[1, 0] = MISSING_STEP
    np.testing.assert_allclose(recipe.inputs(TABLE), expected)
    np.testing.assert_allclose(recipe.outputs(TABLE)[:, 0], [-1, 1, NAN, 7])


def test_it_comes_back_from_metadata(recipe):
    metadata = json.loads(json.dumps({"other": 1} | recipe.to_metadata()))
    back = Recipe.from_metadata(metadata)
    assert back.to_metadata() == recipe.to_metadata()
    np.testing.assert_array_equal(back.inputs(TABLE), recipe.inputs(TABLE))


def test_what_cannot_be_made_is_told():
    with pytest.raises(ValueError, match="no column 'x'; the table has 't', 'u', 'p'"):
        Recipe.fit(TABLE, ["x"], ["t"], 6, 1, 3)
    with pytest.raises(ValueError, match="horizon is 0, and 1 to 1,000,000 rows"):
        Recipe.fit(TABLE, ["t"], ["t"], 6, 0, 3)
    with pytest.raises(ValueError, match="the column 't' is named twice"):
        Recipe.fit(TABLE, ["t", "u", "t"], ["t"], 6, 1, 3)
    with pytest.raises(ShapeError, match="column 'u' has no value in the 0 rows"):
        Recipe.fit(TABLE, ["u"], ["t"], 6, 1, 0)


def test_a_model_without_a_recipe_is_told():
    with pytest.raises(ModelFormatError, match="lstm-ref train"):
        Recipe.from_metadata({})


@pytest.mark.parametrize(
    "changed",
    [
        {"window": 0},
        {"window": 6.0},
        {"window": True},
        {"window": 10**12},
        {"horizon": -1},
        {"features": "tu"},
        {"features": ["t"]},
        {"features": []},
        {"targets": [1, 2]},
        {"feature_scaling": None},
        {"target_scaling": {"mean": [0.0], "std": [1.0]}},
        {"target_scaling": {"mean": [0.0, 0.0], "std": [1.0, -1.0]}},
        {"more": 1},
    ],
)
def test_a_recipe_that_makes_no_sense_is_told(recipe, changed):
    metadata = recipe.to_metadata()
    metadata["forecast"].update(changed)
    with pytest.raises(ModelFormatError, match="makes no sense"):
        Recipe.from_metadata(metadata)


@pytest.mark.parametrize("record", [None, 3, "x", [], {}])
def test_something_else_in_its_place_is_told(record):
    with pytest.raises(ModelFormatError, match="makes no sense"):
        Recipe.from_metadata({"forecast": record})
