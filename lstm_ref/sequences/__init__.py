"""From what data come as to (batch, time, features): padding, masks, windows, tables, scaling.

padding   sequences of different lengths to one rectangle, and the masks that go with it
windows   one long table to many short sequences, with a target at every time step
table     a CSV file to numbers with column names, missing values seen
scaling   columns to mean 0 and standard deviation 1, and back
weather   a year of real measurements to try all of it on
vowels    real recordings of different lengths, with a label
"""

from lstm_ref.sequences.padding import mask_from_lengths, pad_sequences
from lstm_ref.sequences.scaling import Standardizer
from lstm_ref.sequences.table import Table, read_table
from lstm_ref.sequences.vowels import Utterances, japanese_vowels
from lstm_ref.sequences.weather import weather_table
from lstm_ref.sequences.windows import (
    ForecastWindows,
    covering_starts,
    forecast_windows,
    sliding_windows,
)

__all__ = [
    "ForecastWindows",
    "Standardizer",
    "Table",
    "Utterances",
    "covering_starts",
    "forecast_windows",
    "japanese_vowels",
    "mask_from_lengths",
    "pad_sequences",
    "read_table",
    "sliding_windows",
    "weather_table",
]
