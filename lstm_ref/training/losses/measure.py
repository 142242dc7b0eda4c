"""What losses and metrics are made of: a number for every time step.

A `Measure` looks at one step alone, at its target and its K outputs. What to do with padding, with
sample weights and with many steps is the business of those who use it, `Loss` and `Metric`.
"""

from typing import Any

import numpy as np

from lstm_ref.checks import real_array
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.training.targets import check_counted, match_target


def in_silence() -> np.errstate:
    """Infinity and NaN show in the result, and nothing warns of them on the way."""
    return np.errstate(divide="ignore", over="ignore", invalid="ignore")


class Measure:
    """A number for a step, from its target and its outputs: how wrong it is, or whether right.

    Arrays have any axes, of which the last is K: y_pred[...,K], and y_true[...,K], or labels[...]
    where the measure reads those.
    """

    name: str
    """As Keras calls the function."""

    link: str | None = None
    """The activation behind which it reads, where that is the last thing done; see `on_logits`."""

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """``y`` as this measure reads it, and whether its last axis of 1 was left out.

        Args:
            y: the target.
            predicted: the shape of the prediction, [B,T,K] or [B,K].
            dtype: that of the prediction.

        Raises:
            ShapeError: another shape, with the usual cause and its fix.
        """
        return match_target(y, predicted, dtype)

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...]."""
        raise NotImplementedError

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """d e / d y_pred, [...,K]."""
        raise NotImplementedError

    def counted(self, y_true: Array) -> Array | None:  # noqa: ARG002
        """Which steps have a target that counts, [...]; None where all have."""
        return None

    def on_logits(self) -> "Measure":
        """The same measure of what `link` was applied to."""
        return self

    def check_target(
        self, y_true: Array, predicted: tuple[int, ...], mask: Array | None, numbers: Array
    ) -> None:
        """Raise when a target that counts makes NaN of the measure.

        Args:
            y_true: as `fit_target` gives it, [B,T,K] or [B,K].
            predicted: the shape of the prediction.
            mask: [B,T], True where the step is real, or None.
            numbers: [B], the numbers of the rows in the caller's data, for the message.

        Raises:
            ValueError: naming the first such row and step.
        """
        del predicted
        check_counted(y_true, mask, numbers)

    def of_every_step(self, y_true: Any, y_pred: Any) -> Array:
        """e[...] of arrays that are not checked yet; what the functions under Keras' names give."""
        y_pred = prediction(y_pred)
        target, _ = self.fit_target(y_true, y_pred.shape, y_pred.dtype)
        with in_silence():
            return np.asarray(self.value(target, y_pred))


def prediction(y_pred: Any) -> Array:
    """``y_pred`` as an array [...,K].

    Raises:
        ShapeError: a number alone.
        DTypeError: something that is no number.
    """
    array = real_array(y_pred, "y_pred")
    if not array.ndim:
        raise ShapeError("y_pred is one number, and (..., outputs) is needed: use [[y_pred]]")
    return array
