"""What training makes small: Keras' losses on sequences, with masks and sample weights.

Read in this order: `measure` (a number for a step), `base` (how steps become one number),
`regression`, `crossentropy`, `custom` (one's own).
"""

import inspect
from collections.abc import Callable
from typing import Any

from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.training.losses.base import Loss
from lstm_ref.training.losses.by_shape import NAMES, CrossentropyByShape
from lstm_ref.training.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from lstm_ref.training.losses.custom import CustomLoss
from lstm_ref.training.losses.measure import Measure
from lstm_ref.training.losses.regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "CustomLoss", "Huber", "LogCosh", "Loss",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Measure", "SparseCategoricalCrossentropy",
    "binary_crossentropy", "categorical_crossentropy", "deserialize", "get", "huber", "log_cosh",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
    "mean_squared_logarithmic_error", "measure_of", "serialize", "sparse_categorical_crossentropy",
]  # fmt: skip

LOSSES: dict[str, Callable[..., Loss]] = {
    cls.__name__: cls
    for cls in (
        *(MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError),
        *(MeanSquaredLogarithmicError, LogCosh, Huber),
        *(BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy),
    )
}
"""The losses by the names of their classes."""

FUNCTIONS: dict[Callable[..., Array], Callable[..., Loss]] = {
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    log_cosh: LogCosh,
    huber: Huber,
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}
"""The functions, and the loss that each is the error of."""

ALIASES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
}
ALIASES |= {short.upper(): whole for short, whole in ALIASES.items()}
"""Keras' short names of the functions."""


def get(identifier: Any) -> Loss:
    """The loss meant by a name, a function, a class, an object or a config.

    Args:
        identifier: what Keras takes: "mse", "huber", "SparseCategoricalCrossentropy", a function
            or a class of this module, a `Loss`, or ``{"class_name", "config"}``; "crossentropy" or
            "ce", for which the shapes decide. And (function, gradient), for a loss of one's own:
            see `CustomLoss`.

    Raises:
        UnsupportedError: for anything else, naming it.
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        kind: Callable[[], Loss] = identifier
        return kind()
    if isinstance(identifier, str):
        if identifier.lower() in NAMES:
            return CrossentropyByShape(identifier)
        if identifier in LOSSES:
            return LOSSES[identifier]()
        by_name = {function.__name__: function for function in FUNCTIONS}
        function: Any = by_name.get(ALIASES.get(identifier, identifier))
    elif isinstance(identifier, tuple) and len(identifier) == 2 and all(map(callable, identifier)):
        return CustomLoss(*identifier)
    else:
        function = identifier
    if inspect.isroutine(function) and function in FUNCTIONS:
        name = identifier if isinstance(identifier, str) else function.__name__
        return FUNCTIONS[function](name=name)
    if callable(identifier):
        raise UnsupportedError(
            f"loss={identifier!r} is a function of your own, and training needs its gradient too: "
            "give both, loss=(function, gradient), or CustomLoss(function, gradient)"
        )
    known = ", ".join(repr(function.__name__) for function in FUNCTIONS)
    raise UnsupportedError(f"loss={identifier!r} is not supported: there are {known}")


def measure_of(function: Any) -> Measure | None:
    """What one of the functions above says of a step; None when it is none of them."""
    if inspect.isroutine(function) and function in FUNCTIONS:
        return FUNCTIONS[function]().measure
    return None


def serialize(loss: Loss) -> dict[str, Any] | str:
    """What `get` reads back, JSON-able.

    Raises:
        UnsupportedError: a loss of one's own, which a file cannot hold.
    """
    if isinstance(loss, CrossentropyByShape):
        return loss.name
    return {"class_name": type(loss).__name__, "config": loss.get_config()}


def deserialize(config: Any) -> Loss:
    """The loss of one ``{"class_name", "config"}``, or of a name.

    Raises:
        UnsupportedError: a loss that is not there, or a config that does not belong to it.
    """
    if not isinstance(config, dict):
        return get(config)
    name = config.get("class_name")
    if name not in LOSSES:
        raise UnsupportedError(f"the loss {name!r} is not supported: there are {', '.join(LOSSES)}")
    try:
        return LOSSES[name](**config.get("config", {}))
    except TypeError as error:
        raise UnsupportedError(f"a {name} cannot have {config.get('config')}: {error}") from error
