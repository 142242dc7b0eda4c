"""The weather that is carried with the package."""

import numpy as np
import pytest

from lstm_ref.sequences import weather_table


def test_a_year_of_hours_without_a_gap():
    columns = ["hour", "hour_of_day", "temperature_c", "humidity_pct", "pressure_mbar"]
    table = weather_table(columns)
    assert table.values.shape == (8760, 5)
    np.testing.assert_array_equal(table.values[:, 0], np.arange(8760))
    np.testing.assert_array_equal(table.values[:, 1], np.tile(np.arange(1, 25), 365))
    low, high = np.min(table.values[:, 2:], axis=0), np.max(table.values[:, 2:], axis=0)
    assert (low > [-30, 0, 900]).all()
    assert (high < [45, 101, 1100]).all()


def test_a_column_it_does_not_have_is_named():
    with pytest.raises(ValueError, match=r"'rain'.*'temperature_c'"):
        weather_table(["rain"])
