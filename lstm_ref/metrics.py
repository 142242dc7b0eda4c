"""``keras.metrics``: ``from lstm_ref.metrics import MeanSquaredError, MeanAbsoluteError``."""

from lstm_ref.training.losses import mean_absolute_error, mean_squared_error
from lstm_ref.training.metrics import (
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    get,
    serialize,
)

__all__ = [
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "get",
    "mean_absolute_error",
    "mean_squared_error",
    "serialize",
]
