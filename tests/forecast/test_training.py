"""Tables to windows with a target at every step, and models trained on them."""

import numpy as np
import pytest

from lstm_ref.errors import ShapeError
from lstm_ref.forecast import Recipe, build_model, train, training_data
from lstm_ref.forecast.recipe import MISSING_STEP
from lstm_ref.sequences import Table

N, T = 40, 6


@pytest.fixture
def table(rng) -> Table:
    wave = np.sin(np.arange(N) / 3) * 5 + 20
    return Table(("a", "b"), np.stack([wave, rng.normal(size=N)], axis=1))


def recipe_for(table: Table, horizon: int = 1) -> Recipe:
    return Recipe.fit(table, ["a", "b"], ["a"], T, horizon, rows=30)


@pytest.mark.parametrize("horizon", [1, 3])
def test_every_step_is_paired_with_what_comes_after(table, horizon):
    recipe = recipe_for(table, horizon)
    x, y, weight = training_data(recipe, table, rows=30)
    assert x.dtype == y.dtype == np.float32
    assert weight is None
    # Windows begin every T/2 rows, as far as the targets of the training rows reach.
    assert len(x) == len(y) == (30 - horizon - T) // 3 + 1
    for b in range(len(x)):
        for t in range(T):
            row = 3 * b + t
            np.testing.assert_allclose(
                recipe.feature_scaling.invert(x[b, t]), table.values[row], atol=1e-5
            )
            np.testing.assert_allclose(
                recipe.target_scaling.invert(y[b, t]), table.values[row + horizon, :1], atol=1e-5
            )


def test_rows_that_are_held_out_are_not_looked_at(table):
    x, y, _ = training_data(recipe_for(table), table, rows=30)
    changed = table.values.copy()
    changed[30:] = 1e9
    other = Table(table.columns, changed)
    other_x, other_y, _ = training_data(recipe_for(other), other, rows=30)
    np.testing.assert_array_equal(other_x, x)
    np.testing.assert_array_equal(other_y, y)


def test_missing_features_are_marked_and_missing_targets_weigh_nothing(table):
    table.values[4, 1] = np.nan  # a feature
    table.values[9, 0] = np.nan  # a feature and, one row earlier, a target
    x, y, weight = training_data(recipe_for(table), table, rows=30, stride=T)
    for b, t in np.ndindex(x.shape[:2]):
        row = b * T + t
        assert (x[b, t] == MISSING_STEP).all() == (row in (4, 9))
        assert weight[b, t] == (row != 8)
        assert np.isfinite(y[b, t]).all()


def test_the_same_seed_trains_the_same_model(table):
    recipe = recipe_for(table)
    data = training_data(recipe, table, rows=30)

    def losses(seed: int) -> list[float]:
        model = build_model(recipe, units=4, seed=seed)
        return list(train(model, data, epochs=3, batch_size=2))

    first = losses(5)
    assert first == losses(5)
    assert first != losses(6)
    assert first[0] > first[1] > first[2]


def test_the_settings_reach_the_model(table):
    model = build_model(
        recipe_for(table), units=5, activation="relu", optimizer="rmsprop", learning_rate=0.02
    )
    masking, lstm, dense = model.layers
    assert (masking.mask_value, lstm.units, lstm.activation, dense.units) == (
        MISSING_STEP,
        5,
        "relu",
        1,
    )
    assert type(model.optimizer).__name__ == "RMSprop"
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert model.input_shape == (None, T, 2)
    assert Recipe.from_metadata(model.metadata).targets == ("a",)
    assert len(build_model(recipe_for(table), units=5, masking=False).layers) == 2


def test_too_few_rows_are_told(table):
    with pytest.raises(ShapeError, match="6 rows to train on do not fill one window of 6 and the"):
        training_data(recipe_for(table), table, rows=T)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_training_that_diverges_is_told(table):
    recipe = recipe_for(table)
    model = build_model(recipe, units=4, optimizer="sgd", learning_rate=1e30, seed=0)
    with pytest.raises(ValueError, match=r"diverged.*smaller learning rate"):
        list(train(model, training_data(recipe, table, rows=30), epochs=20))
