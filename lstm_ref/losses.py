"""``keras.losses``: ``from lstm_ref.losses import MeanSquaredError, MeanAbsoluteError``."""

from lstm_ref.training.losses import (
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    get,
    mean_absolute_error,
    mean_squared_error,
    serialize,
)

__all__ = [
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "get",
    "mean_absolute_error",
    "mean_squared_error",
    "serialize",
]
