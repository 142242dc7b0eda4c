"""What weights must satisfy: Keras' constraints, applied to a weight after each training step.

A constraint gives the new weight from the old one. The formulas are those of
``keras.constraints``: a norm is taken along `axis`, over W[D,4H] with ``axis=0`` that of the D
weights into each of the 4H columns.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from lstm_ref.checks import weight_array
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.layers import named

EPSILON = 1e-7
"""``keras.config.epsilon()``: what keeps a weight of norm 0 from being divided by 0."""


class Constraint(named.Named):
    """``constraint(w)`` gives a new array, of the shape and dtype of ``w``, that satisfies it."""

    @np.errstate(over="ignore", invalid="ignore")  # infinity and NaN flow through in silence
    def __call__(self, w: Any) -> Array:
        """The constrained weight; ``w`` is left as it is.

        Raises:
            DTypeError: ``w`` is not float32 or float64.
            ShapeError: ``w`` does not have the axis of the norm.
        """
        return np.asarray(self._constrained(weight_array(w, "w")))

    def _constrained(self, w: Array) -> Any:
        raise NotImplementedError


class NonNeg(Constraint):
    """No weight below 0: ``max(w, 0)``."""

    def _constrained(self, w: Array) -> Any:
        return np.maximum(w, 0)


class NormConstraint(Constraint):
    """A constraint on norms along `axis`: a number, several, or None for all axes together."""

    arguments: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(self, axis: int | Sequence[int] | None = 0) -> None:
        axes = axis if isinstance(axis, list | tuple) else (axis,)
        if axis is not None and not all(type(n) is int for n in axes):
            raise ValueError(
                f"{type(self).__name__}(axis={axis!r}): the number of an axis, a list of them, or "
                "None is needed; axis=0 takes the norm of the weights into each unit"
            )
        self.axis = axis

    def norms(self, w: Array) -> Array:
        """The norms, each axis of `axis` being 1 long.

        Raises:
            ShapeError: ``w`` has no such axis.
        """
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        try:
            squares: Array = np.sum(np.square(w), axis=axis, keepdims=True)
        except ValueError as error:  # NumPy's AxisError, and that of an axis given twice
            raise ShapeError(
                f"{type(self).__name__}(axis={self.axis}) got a weight of shape {w.shape}: "
                f"{error}; a bias has axis 0 alone"
            ) from error
        return np.asarray(np.sqrt(squares))


class MaxNorm(NormConstraint):
    """``w · min(‖w‖, max_value) / (ε + ‖w‖)``: no norm above `max_value`."""

    arguments: ClassVar[tuple[str, ...]] = ("max_value", "axis")

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] | None = 0) -> None:
        super().__init__(axis)
        self.max_value = _not_negative(max_value, self, "max_value")

    def _constrained(self, w: Array) -> Any:
        norms = self.norms(w)
        return w * (np.minimum(norms, self.max_value) / (EPSILON + norms))


class UnitNorm(NormConstraint):
    """``w / (ε + ‖w‖)``: every norm 1."""

    def _constrained(self, w: Array) -> Any:
        return w / (EPSILON + self.norms(w))


class MinMaxNorm(NormConstraint):
    """Norms from `min_value` to `max_value`, or the part `rate` of the way there.

    ::

        n = rate · min(max(‖w‖, min_value), max_value) + (1 − rate) · ‖w‖
        w ← w · n / (ε + ‖w‖)

    A weight of norm 0 has no direction, and stays 0.
    """

    arguments: ClassVar[tuple[str, ...]] = ("min_value", "max_value", "rate", "axis")

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] | None = 0,
    ) -> None:
        super().__init__(axis)
        self.min_value = _not_negative(min_value, self, "min_value")
        self.max_value = _not_negative(max_value, self, "max_value")
        if self.min_value > self.max_value:
            raise ValueError(
                f"MinMaxNorm(min_value={min_value}, max_value={max_value}): no norm "
                "lies between them; the smaller one comes first"
            )
        self.rate = _not_negative(rate, self, "rate")
        if self.rate > 1:
            raise ValueError(
                f"MinMaxNorm(rate={rate}): a number from 0 (no change) to 1 (all the way) is needed"
            )

    def _constrained(self, w: Array) -> Any:
        norms = self.norms(w)
        between = np.clip(norms, self.min_value, self.max_value)
        desired = self.rate * between + (1 - self.rate) * norms
        return w * (desired / (EPSILON + norms))


def _not_negative(value: Any, owner: Constraint, argument: str) -> Any:
    """``value`` as a number of Python's, an int left an int, as Keras' configs do.

    Raises:
        ValueError: it is no number, negative or NaN.
    """
    number = isinstance(value, int | float | np.integer | np.floating)
    if not (number and not isinstance(value, bool) and value >= 0):
        raise ValueError(
            f"{type(owner).__name__}({argument}={value!r}): a number is needed, 0 or more"
        )
    return value.item() if isinstance(value, np.generic) else value


CONSTRAINTS: dict[str, type[Constraint]] = named.by_name((MaxNorm, NonNeg, UnitNorm, MinMaxNorm))
"""Every constraint by its class name, in both spellings."""


def get(identifier: Any) -> Constraint | None:
    """The constraint meant by a name, a class, an object or a config; None for None.

    Raises:
        ValueError, ModelFormatError, UnsupportedError: as `named.find`.
    """
    if identifier is None:
        return None
    advice = (
        "MaxNorm, NonNeg and the others are those of lstm_ref.constraints, not of keras, and a "
        "function could not be saved with the model"
    )
    return named.find(identifier, Constraint, CONSTRAINTS, advice)


def serialize(constraint: Constraint | None) -> dict[str, Any] | None:
    """What `get` reads back: the class name and the config, or None."""
    return None if constraint is None else named.serialize(constraint)
