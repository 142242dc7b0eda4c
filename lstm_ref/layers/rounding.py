"""Constants as Keras rounds them on their way into a computation."""

from typing import Any

import numpy as np


def through_float32(constant: float, dtype: np.dtype[Any]) -> Any:
    """The constant as Keras gives it to a computation in ``dtype``: rounded to float32 first."""
    return dtype.type(np.float32(constant))


def as_tensor(constant: float) -> np.float32 | np.float64:
    """The constant as TensorFlow makes a tensor of it: float32, and a NumPy float64 as it is."""
    return constant if isinstance(constant, np.float64) else np.float32(constant)
