"""Penalties on weights: Keras' regularizers, each with its derivative.

A penalty is a number added to the loss; its gradient is added to that of the weight. The
formulas are those of ``keras.regularizers``.

Keras rounds every factor through float32 on its way into a float64 computation. The same is done
here, so that penalties agree to the last digits; without it they part at 1e-8.
"""

from typing import Any, ClassVar

import numpy as np

from lstm_ref.checks import weight_array
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.layers import named
from lstm_ref.layers.constraints import EPSILON
from lstm_ref.layers.rounding import through_float32


class Regularizer(named.Named):
    """``regularizer(w)`` gives the penalty on an array, ``gradient(w)`` its derivative."""

    @np.errstate(over="ignore", invalid="ignore")  # infinity and NaN flow through in silence
    def __call__(self, w: Any) -> float:
        """The penalty, computed in the dtype of ``w``.

        Raises:
            DTypeError: ``w`` is not float32 or float64.
            ShapeError: an array that the regularizer is not made for.
        """
        return float(self._penalty(weight_array(w, "w")))

    @np.errstate(over="ignore", invalid="ignore")
    def gradient(self, w: Any) -> Array:
        """d penalty / d w, of the shape and dtype of ``w``.

        Raises:
            DTypeError, ShapeError: as a call.
        """
        return np.asarray(self._gradient(weight_array(w, "w")))

    def _penalty(self, w: Array) -> Any:
        """The penalty, of the dtype of ``w``."""
        raise NotImplementedError

    def _gradient(self, w: Array) -> Any:
        """Its derivative, a new array."""
        raise NotImplementedError


class L1L2(Regularizer):
    """``l1·Σ|w| + l2·Σw²`` of an array of any shape; the derivative of ``|w|`` is 0 at 0.

    The factors begin at 0, so that one alone may be given.
    """

    arguments: ClassVar[tuple[str, ...]] = ("l1", "l2")

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor(0.0 if l1 is None else l1, self, "l1")
        self.l2 = _factor(0.0 if l2 is None else l2, self, "l2")

    def _penalty(self, w: Array) -> Any:
        penalty = w.dtype.type(0)
        if self.l1:
            penalty += through_float32(self.l1, w.dtype) * np.sum(np.abs(w))
        if self.l2:
            penalty += through_float32(self.l2, w.dtype) * np.sum(np.square(w))
        return penalty

    def _gradient(self, w: Array) -> Any:
        d_w = np.zeros_like(w)
        if self.l1:
            d_w += through_float32(self.l1, w.dtype) * np.sign(w)
        if self.l2:
            d_w += through_float32(self.l2, w.dtype) * (2 * w)
        return d_w


class L1(L1L2):
    """``l1·Σ|w|``. Keras holds this factor in float32, and its config shows the rounded one."""

    arguments: ClassVar[tuple[str, ...]] = ("l1",)

    def __init__(self, l1: float | None = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)
        self.l1 = float(np.float32(self.l1))


class L2(L1L2):
    """``l2·Σw²``."""

    arguments: ClassVar[tuple[str, ...]] = ("l2",)

    def __init__(self, l2: float | None = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean of ``|cos|`` between the rows (or columns) of a matrix, pair by pair.

    ::

        y_i = n_i x_i,   n_i = 1 / max(‖x_i‖, ε)             ε = 1e-7, Keras' epsilon
        penalty = q·Σ_{i≠j} |y_i · y_j|                      q = factor / (n (n − 1)),  n rows

        ∂y_i = 2q·Σ_{j≠i} sign(y_i · y_j) y_j
        ∂x_i = n_i (∂y_i − (∂y_i · y_i) y_i)                 n_i ∂y_i where ‖x_i‖ < ε

    The factor of 2 is there because a row stands on both sides of its products. As the factor of
    L1, this one is held in float32. A matrix with a single row is refused: it has no pairs, and
    Keras' mean over them is NaN. Keras takes float32 alone here; this takes float64 as well.
    """

    arguments: ClassVar[tuple[str, ...]] = ("factor", "mode")

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = float(np.float32(_factor(factor, self, "factor")))
        if mode not in ("rows", "columns"):
            raise ValueError(f"mode={mode!r} is not one of 'rows', 'columns'")
        self.mode = mode

    def _penalty(self, w: Array) -> Any:
        x = self._vectors(w)  # [n,m]
        y = x / np.maximum(_norms(x), EPSILON)
        return self._scale(x) * np.sum(np.abs(_products(y)))

    def _gradient(self, w: Array) -> Any:
        x = self._vectors(w)  # [n,m]
        norms = _norms(x)  # [n,1]
        divisors = np.maximum(norms, EPSILON)
        y = x / divisors
        d_y = 2 * self._scale(x) * np.sign(_products(y)) @ y  # [n,m]
        along = np.sum(d_y * y, axis=1, keepdims=True)  # [n,1]
        along[norms < EPSILON] = 0  # the divisor is ε there, and does not move with x
        d_x = (d_y - along * y) / divisors
        return d_x if self.mode == "rows" else d_x.T

    def _vectors(self, w: Array) -> Array:
        """The vectors that are compared, as rows."""
        if w.ndim != 2:
            raise ShapeError(
                f"OrthogonalRegularizer compares the {self.mode} of a matrix, and w has shape "
                f"{w.shape}: it is meant for kernels, not for a bias or the outputs of a layer"
            )
        x = w if self.mode == "rows" else w.T
        if len(x) < 2:
            other = "columns" if self.mode == "rows" else "rows"
            raise ShapeError(
                f"OrthogonalRegularizer compares the {self.mode} of a matrix with each other, and "
                f"w has shape {w.shape}: there are no two of them (Keras' penalty is NaN here); "
                f"use mode={other!r}, or no regularizer"
            )
        return x

    def _scale(self, x: Array) -> Any:
        """q, in the dtype of x[n,m]."""
        n = len(x)
        return through_float32(self.factor, x.dtype) / (n * (n - 1))


def _norms(x: Array) -> Array:
    """[n,1]: the norms of the rows of x[n,m]."""
    return np.asarray(np.sqrt(np.sum(np.square(x), axis=1, keepdims=True)))


def _products(y: Array) -> Array:
    """[n,n]: the products of the rows of y[n,m] with each other, 0 on the diagonal."""
    products = y @ y.T
    np.fill_diagonal(products, 0)
    return products


def _factor(value: Any, owner: Regularizer, argument: str) -> float:
    """``value`` as a float.

    Raises:
        ValueError: it is no number, negative, infinite or NaN.
    """
    number = isinstance(value, int | float | np.integer | np.floating)
    largest = float(np.finfo(np.float32).max)  # beyond it, Keras' rounding makes infinity
    if not (number and 0 <= value <= largest):
        raise ValueError(
            f"{type(owner).__name__}({argument}={value!r}): a finite number is needed, 0 or more; "
            "it multiplies the penalty"
        )
    return float(value)


REGULARIZERS: dict[str, type[Regularizer]] = {
    **named.by_name((L1, L2, L1L2, OrthogonalRegularizer)),
    "l1_l2": L1L2,
}
"""Every regularizer by name: its class name in both spellings, and Keras 2's ``l1_l2``."""


def get(identifier: Any) -> Regularizer | None:
    """The regularizer meant by a name, a class, an object or a config; None for None.

    The name ``"l1_l2"`` alone means factors of 0.01, as in Keras 2 and in the documentation of
    Keras 3, and ``"L1L2"`` the class with its factors of 0.

    Raises:
        ValueError, ModelFormatError, UnsupportedError: as `named.find`.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier == "l1_l2":
        return L1L2(l1=0.01, l2=0.01)
    advice = (
        "L1, L2 and L1L2 are those of lstm_ref.regularizers, not of keras, and a function could "
        "not be saved with the model"
    )
    return named.find(identifier, Regularizer, REGULARIZERS, advice)


def serialize(regularizer: Regularizer | None) -> dict[str, Any] | None:
    """What `get` reads back: the class name and the config, or None."""
    return None if regularizer is None else named.serialize(regularizer)
