"""Metrics that are the error of a loss, over everything seen."""

import math
from typing import Any

from lstm_ref.errors import UnsupportedError
from lstm_ref.training import losses
from lstm_ref.training.losses.regression import (
    ABSOLUTE,
    LOG_COSH,
    LOGARITHMIC,
    PERCENTAGE,
    SQUARED,
)
from lstm_ref.training.metrics.base import MeanMetric, MeanOfSteps


class MeanSquaredError(MeanMetric):
    """The mean squared error."""

    of = SQUARED


class MeanAbsoluteError(MeanMetric):
    """The mean absolute error."""

    of = ABSOLUTE


class MeanAbsolutePercentageError(MeanMetric):
    """The mean error in percent of the target."""

    of = PERCENTAGE


class MeanSquaredLogarithmicError(MeanMetric):
    """The mean squared error of the logarithms."""

    of = LOGARITHMIC


class LogCoshError(MeanMetric):
    """The mean of ln(cosh(error))."""

    of = LOG_COSH

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or "logcosh", dtype)


class RootMeanSquaredError(MeanMetric):
    """The root of the mean squared error, in the units of the target.

    Masked steps do not count. (In Keras they do, in this metric alone: it loses the mask.)
    """

    of = SQUARED

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or "root_mean_squared_error", dtype)

    def result(self) -> float:
        """The root of the mean so far; 0 when nothing counted."""
        return math.sqrt(super().result())


class BinaryCrossentropy(MeanOfSteps):
    """The mean binary cross-entropy; the arguments are those of `losses.BinaryCrossentropy`."""

    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        loss = losses.BinaryCrossentropy(from_logits, label_smoothing)
        self.from_logits, self.label_smoothing = loss.from_logits, loss.label_smoothing
        super().__init__(loss.measure, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }


class CategoricalCrossentropy(MeanOfSteps):
    """The mean cross-entropy; the arguments are those of `losses.CategoricalCrossentropy`."""

    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        loss = losses.CategoricalCrossentropy(from_logits, label_smoothing, axis)
        self.from_logits, self.label_smoothing = loss.from_logits, loss.label_smoothing
        self.axis = axis
        super().__init__(loss.measure, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
        }


class SparseCategoricalCrossentropy(MeanOfSteps):
    """The mean cross-entropy for labels; see `losses.SparseCategoricalCrossentropy`.

    `ignore_class` is refused: in Keras' metric the ignored steps count in the mean, as 0, unless
    there is a mask or a sample weight.
    """

    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        if ignore_class is not None:
            raise UnsupportedError(
                f"metrics.SparseCategoricalCrossentropy(ignore_class={ignore_class!r}) is not "
                "supported: mask the steps, or give them the sample_weight 0 and put the metric "
                "among the weighted_metrics"
            )
        loss = losses.SparseCategoricalCrossentropy(from_logits, axis=axis)
        self.from_logits, self.axis = loss.from_logits, axis
        super().__init__(loss.measure, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {**super().get_config(), "from_logits": self.from_logits, "axis": self.axis}
