"""Losses of numbers: how far a prediction is from its target, output by output.

Each is a function of one output and its target, averaged over the K outputs of a step. At a kink
the derivative is the one TensorFlow takes, so that gradients are Keras'.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.training.losses.base import Loss
from lstm_ref.training.losses.measure import Measure
from lstm_ref.training.numbers import number

EPSILON = 1e-7
"""Keras' ``backend.epsilon()``: how near to 0 a divisor, a logarithm or a probability may come."""


@dataclass(frozen=True)
class OutputError(Measure):
    """An error of one output, from its target t and itself, y; and its derivative by y.

    That of a step is the mean over K.
    """

    name: str
    error: Callable[[Array, Array], Array]
    derivative: Callable[[Array, Array], Array]

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...], the mean over K."""
        return np.asarray(np.mean(self.error(y_true, y_pred), axis=-1))

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """d e / d y_pred, [...,K]."""
        d = self.derivative(y_true, y_pred)
        return np.asarray(d / d.dtype.type(max(1, d.shape[-1])))


def _squared(t: Array, y: Array) -> Array:
    d = y - t
    return np.asarray(d * d)


def _d_squared(t: Array, y: Array) -> Array:
    return np.asarray(2 * (y - t))


def _absolute(t: Array, y: Array) -> Array:
    return np.asarray(np.abs(y - t))


def _d_absolute(t: Array, y: Array) -> Array:
    return np.asarray(np.sign(y - t))  # sign(0) = 0, as TensorFlow's


def _percentage(t: Array, y: Array) -> Array:
    return np.asarray(100 * np.abs((y - t) / _size(t)))


def _d_percentage(t: Array, y: Array) -> Array:
    return np.asarray(100 * np.sign(y - t) / _size(t))


def _size(t: Array) -> Array:
    """How large a target is, for a percentage of it: never 0."""
    return np.asarray(np.maximum(np.abs(t), t.dtype.type(EPSILON)))


def _squared_logarithmic(t: Array, y: Array) -> Array:
    return np.asarray((_logarithm(y) - _logarithm(t)) ** 2)


def _d_squared_logarithmic(t: Array, y: Array) -> Array:
    low = y.dtype.type(EPSILON)
    slope = np.where(y >= low, 2 / (np.maximum(y, low) + 1), 0)
    return np.asarray((_logarithm(y) - _logarithm(t)) * slope, y.dtype)


def _logarithm(v: Array) -> Array:
    """ln(1 + v), v being taken as ε where it is smaller."""
    return np.asarray(np.log(np.maximum(v, v.dtype.type(EPSILON)) + 1))


LN_2 = float(np.float32(np.log(2)))
"""ln 2 as Keras has it: rounded to float32 in float64 as well, so that ln(cosh(0)) is -1.9e-9."""


def _log_cosh(t: Array, y: Array) -> Array:
    far = np.abs(y - t)
    return np.asarray(far + np.log1p(np.exp(-2 * far)) - y.dtype.type(LN_2))


def _d_log_cosh(t: Array, y: Array) -> Array:
    return np.asarray(np.tanh(y - t))


def _huber(t: Array, y: Array, delta: float) -> Array:
    """d²/2 within δ, and from there on straight, δ·|d| - δ²/2.

    Huber (1964), Robust Estimation of a Location Parameter.
    """
    far = np.abs(y - t)
    δ, half = y.dtype.type(delta), y.dtype.type(0.5)
    return np.asarray(np.where(far <= δ, half * far * far, δ * far - half * δ * δ))


def _d_huber(t: Array, y: Array, delta: float) -> Array:
    δ = y.dtype.type(delta)
    return np.asarray(np.clip(y - t, -δ, δ))


SQUARED = OutputError("mean_squared_error", _squared, _d_squared)
ABSOLUTE = OutputError("mean_absolute_error", _absolute, _d_absolute)
PERCENTAGE = OutputError("mean_absolute_percentage_error", _percentage, _d_percentage)
LOGARITHMIC = OutputError(
    "mean_squared_logarithmic_error", _squared_logarithmic, _d_squared_logarithmic
)
LOG_COSH = OutputError("log_cosh", _log_cosh, _d_log_cosh)


def huber_error(delta: float) -> OutputError:
    """Huber's error, straight from ``delta`` on."""
    return OutputError("huber", partial(_huber, delta=delta), partial(_d_huber, delta=delta))


class OutputLoss(Loss):
    """A loss of numbers without parameters; the arguments are those of `Loss`."""

    error: OutputError

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(self.error, reduction, name, dtype)


class MeanSquaredError(OutputLoss):
    """The squared error, (y - t)²: Keras' ``"mse"``."""

    error = SQUARED


class MeanAbsoluteError(OutputLoss):
    """The absolute error, ``|y - t|``: Keras' ``"mae"``. Its derivative at 0 is taken as 0."""

    error = ABSOLUTE


class MeanAbsolutePercentageError(OutputLoss):
    """The error in percent of the target, ``100·|y - t| / max(|t|, 1e-7)``: Keras' ``"mape"``."""

    error = PERCENTAGE


class MeanSquaredLogarithmicError(OutputLoss):
    """(ln(1 + y) - ln(1 + t))², with 1e-7 for what is smaller: Keras' ``"msle"``."""

    error = LOGARITHMIC


class LogCosh(OutputLoss):
    """ln(cosh(y - t)): like the squared error near 0, and like the absolute one far from it."""

    error = LOG_COSH


class Huber(Loss):
    """Half the squared error where that is within `delta`, and straight from there on.

    Args:
        delta: above 0. (Keras' config leaves it out, so that its saved models lose it.)
        reduction, name: see `Loss`.
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        self.delta = number(delta, self, "delta", lambda n: n > 0, "a number above 0 is needed")
        super().__init__(huber_error(self.delta), reduction, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {"delta": self.delta, **super().get_config()}


def mean_squared_error(y_true: Any, y_pred: Any) -> Array:
    """The squared error of every step, [B,T] for predictions [B,T,K]."""
    return SQUARED.of_every_step(y_true, y_pred)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Array:
    """The absolute error of every step, [B,T] for predictions [B,T,K]."""
    return ABSOLUTE.of_every_step(y_true, y_pred)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Array:
    """The error of every step in percent of its target, [B,T] for predictions [B,T,K]."""
    return PERCENTAGE.of_every_step(y_true, y_pred)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Array:
    """The squared error of the logarithms at every step, [B,T] for predictions [B,T,K]."""
    return LOGARITHMIC.of_every_step(y_true, y_pred)


def log_cosh(y_true: Any, y_pred: Any) -> Array:
    """ln(cosh(error)) of every step, [B,T] for predictions [B,T,K]."""
    return LOG_COSH.of_every_step(y_true, y_pred)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Array:
    """Huber's error of every step, [B,T] for predictions [B,T,K]; see `Huber`."""
    return Huber(delta).measure.of_every_step(y_true, y_pred)
