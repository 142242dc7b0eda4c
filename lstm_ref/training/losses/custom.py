"""A loss of one's own: a function, and its gradient, which nothing here could find out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.training.losses.base import Loss
from lstm_ref.training.losses.measure import Measure

Function = Callable[[Array, Array], Any]


@dataclass(frozen=True)
class CustomError(Measure):
    """e = function(y_true, y_pred), with its gradient; see `CustomLoss`."""

    function: Function
    derivative: Function
    name: str

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...]."""
        e = _of_rows(self.function, y_true, y_pred)
        n = y_pred.size // max(1, y_pred.shape[-1])
        advice = "the error of each step; for the mean over the outputs use np.mean(..., axis=-1)"
        return _shaped(e, (n,), self.name, advice, y_pred).reshape(y_pred.shape[:-1])

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """d e / d y_pred, [...,K]."""
        d = _of_rows(self.derivative, y_true, y_pred)
        rows = (y_pred.size // max(1, y_pred.shape[-1]), y_pred.shape[-1])
        advice = "the derivative of each step's own error by each of its outputs"
        whole = _shaped(d, rows, f"the gradient of {self.name}", advice, y_pred)
        return whole.reshape(y_pred.shape)


def _of_rows(function: Function, y_true: Array, y_pred: Array) -> Any:
    """The function of the steps as rows [n,K]; those that count are rows already."""
    K = y_pred.shape[-1]
    return function(y_true.reshape(-1, K), y_pred.reshape(-1, K))


def _shaped(result: Any, shape: tuple[int, ...], name: str, advice: str, y_pred: Array) -> Array:
    array = np.asarray(result, y_pred.dtype)
    if array.shape != shape:
        raise ShapeError(
            f"{name} gave an array of shape {array.shape} for predictions [n,K] of shape "
            f"{(shape[0], y_pred.shape[-1])}, and {shape} is needed: {advice}"
        )
    return array


class CustomLoss(Loss):
    """A loss made of two functions of one's own.

    Both are given the steps that count as rows, y_true[n,K] and y_pred[n,K], whatever sequences
    they came from, so that masks and sample weights work as with every loss.

    Args:
        function: gives the error of each row, [n].
        gradient: gives d error / d y_pred of each row, [n,K]: not divided by n, and not summed.
            `lr.gradcheck` tells whether it is right.
        name: the function's own by default.
        reduction: see `Loss`.
    """

    def __init__(
        self,
        function: Function,
        gradient: Function,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        for argument, given in (("function", function), ("gradient", gradient)):
            if not callable(given):
                raise TypeError(f"CustomLoss({argument}={given!r}): a function is needed")
        name = name or str(getattr(function, "__name__", "custom_loss"))
        super().__init__(CustomError(function, gradient, name), reduction, name, dtype)

    def get_config(self) -> NoReturn:
        """Refused.

        Raises:
            UnsupportedError: a file cannot hold a function.
        """
        raise UnsupportedError(
            f"the loss {self.name!r} is a function of your own, which a file cannot hold: compile "
            "the model anew after loading it"
        )
