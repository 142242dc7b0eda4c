"""The hourly weather that is carried with the package, for the demo and the documentation."""

from collections.abc import Sequence
from importlib.resources import as_file, files

from lstm_ref.sequences.table import Table, read_table


def weather_table(columns: Sequence[str] = ("temperature_c",)) -> Table:
    """A typical year of weather at Greensboro, North Carolina: 8,760 hours without a gap.

    Columns: temperature_c (°C), humidity_pct (%), pressure_mbar (mbar), wind_speed_ms (m/s), and
    the calendar: hour (from 0), month, day, hour_of_day (1 to 24).

    Source: NREL, Typical Meteorological Year 3, station 723170; public domain.

    Raises:
        ValueError: a column that is not there.
    """
    with as_file(files("lstm_ref") / "data" / "weather_hourly.csv") as path:
        return read_table(path, columns)
