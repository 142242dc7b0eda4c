"""Errors of forecasts and baselines, against plain loops."""

import math

import numpy as np
import pytest

from lstm_ref.forecast import Recipe, Score, score
from lstm_ref.forecast.score import forecasts_by_row
from lstm_ref.sequences import Table

N = 50


@pytest.fixture
def table(rng) -> Table:
    return Table(("a", "b"), rng.normal(size=(N, 2)))


def recipe_for(table: Table, horizon: int) -> Recipe:
    return Recipe.fit(table, ["a"], ["a", "b"], 4, horizon, rows=20)


def rmse(pairs: list[tuple[float, float]]) -> float:
    return math.sqrt(sum((p - m) ** 2 for p, m in pairs) / len(pairs))


@pytest.mark.parametrize("horizon", [1, 2, 24, 30])
def test_all_forecasts_are_measured_on_the_same_rows(table, rng, horizon):
    forecasts = rng.normal(size=(N, 2))
    table.values[45, 1] = np.nan
    first = 40
    back = 24 if horizon <= 24 else 48  # the same hour of the last day that was seen
    for k, result in enumerate(score(recipe_for(table, horizon), table, forecasts, first, 24)):
        m = table.values[:, k]
        sources = {
            "model": lambda row, k=k: forecasts[row - horizon, k],
            "persistence": lambda row, m=m: m[row - horizon],
            "seasonal": lambda row, m=m: m[row - back],
        }
        rows = [
            row
            for row in range(first, N)
            if row >= back
            and not math.isnan(m[row] + sum(source(row) for source in sources.values()))
        ]
        expected = {
            name: rmse([(source(row), m[row]) for row in rows]) for name, source in sources.items()
        }
        assert result.target == "ab"[k]
        assert result.rows == len(rows) > 0
        assert {"model": result.model, **result.baselines} == pytest.approx(expected)


def test_the_forecasts_of_a_row_were_made_before_it(table):
    measured = table.values
    of_row = forecasts_by_row(recipe_for(table, 3), table, np.arange(2.0 * N).reshape(N, 2), 24)
    np.testing.assert_array_equal(of_row["model"][10], [14, 15])
    np.testing.assert_array_equal(of_row["persistence"][10], measured[7])
    np.testing.assert_array_equal(of_row["seasonal"][30], measured[6])
    assert np.isnan(of_row["model"][:3]).all()
    assert "seasonal" not in forecasts_by_row(recipe_for(table, 3), table, measured)


def test_beating_means_beating_each():
    assert Score("a", 9, 1.0, {"persistence": 1.1, "seasonal": 2.0}).beats_baselines
    assert not Score("a", 9, 1.0, {"persistence": 1.1, "seasonal": 1.0}).beats_baselines
    assert not Score("a", 0, math.nan, {"persistence": math.nan}).beats_baselines


def test_nothing_to_compare_is_no_number(table):
    (a, _) = score(recipe_for(table, 1), table, table.values, first=N)
    assert a.rows == 0
    assert a.to_dict() == {
        "target": "a",
        "rows": 0,
        "rmse": {"model": None, "persistence": None},
        "beats_baselines": False,
    }
