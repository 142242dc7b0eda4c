"""What a metric is: a number that is kept up to date from batch to batch.

Most are the mean of a `Measure` over all steps seen, Σ w·m·e / Σ w·m with the mask m and the sample
weight w of each step. Keras takes a row's steps together first, so that in batches of sequences of
different lengths every row counts alike: a step of a row with T steps counts 1/T. The same is done
here; where all batches have the same T, it changes nothing.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from lstm_ref.checks import real_array
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.training.losses.base import both, chosen
from lstm_ref.training.losses.measure import Measure, in_silence, prediction
from lstm_ref.training.targets import direct_mask, direct_weight


class Metric:
    """The part common to all metrics.

    One of your own defines `reset_state`, `add` and `result`.

    Args:
        name: under which it is reported.
        dtype: refused: metrics accumulate in float64.
    """

    link: str | None = None
    """The activation behind which it reads the logits where a model ends in that, as a loss does:
    "softmax", "sigmoid" or None; see `lstm_ref.training.losses.crossentropy`."""

    def __init__(self, name: str, dtype: Any = None) -> None:
        if dtype is not None:
            raise UnsupportedError(
                f"{type(self).__name__}(dtype=...): a metric accumulates in float64"
            )
        self.name = name
        self.reset_state()

    def reset_state(self) -> None:
        """Forget everything."""
        raise NotImplementedError

    def add(
        self,
        y_true: Array,
        y_pred: Array,
        weight: Array | None,
        mask: Array | None,
        logits: Array | None = None,
    ) -> None:
        """One batch more, of arrays that fit each other.

        Args:
            y_true: as the loss reads it: [B,T,K] or [B,K], or labels[B,T] or [B].
            y_pred: [B,T,K] or [B,K].
            weight, mask: [B,T] or [B], or None.
            logits: of y_pred's shape, what `link` was applied to; None where the model does not
                end in it.
        """
        raise NotImplementedError

    def result(self) -> Any:
        """The number so far; 0 when nothing counted."""
        raise NotImplementedError

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """``y`` as the metric reads it; see `Measure.fit_target`."""
        return Measure().fit_target(y, predicted, dtype)

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> None:
        """Show it one batch of predictions [..., K]; the arguments are those of a loss.

        Raises:
            ShapeError: shapes that do not belong together.
        """
        y_pred = prediction(y_pred)
        target, per_row = self.fit_target(y_true, y_pred.shape, y_pred.dtype)
        weight = direct_weight(sample_weight, y_pred.shape, y_pred.dtype, per_row)
        self.add(target, y_pred, weight, direct_mask(mask, y_pred.shape))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`update_state`, then `result`."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The metric that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class RunningMean(Metric):
    """Σ w·e / Σ w so far."""

    def reset_state(self) -> None:
        """Forget everything."""
        self.total, self.count = 0.0, 0.0

    def _add_mean(self, e: Array, w: Array | None, steps: float) -> None:
        """e and w of the steps that count, of which a row has ``steps``, counted or not."""
        self.total += float(np.sum(e if w is None else e * w, dtype=np.float64)) / steps
        self.count += float(e.size if w is None else np.sum(w, dtype=np.float64)) / steps

    def result(self) -> float:
        """The mean so far; 0 when nothing counted."""
        return self.total / self.count if self.count else 0.0


class MeanOfSteps(RunningMean):
    """The mean of a `Measure` over the steps that count.

    Args:
        measure: the number of a step.
        name: that of the measure by default.
        dtype: refused.
    """

    def __init__(self, measure: Measure, name: str | None = None, dtype: Any = None) -> None:
        self.measure = measure
        super().__init__(name or measure.name, dtype)

    @property
    def link(self) -> str | None:  # type: ignore[override]
        """See `Metric.link`."""
        return self.measure.link

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """``y`` as the measure reads it.

        Raises:
            ShapeError: it does not fit; the message names the metric.
        """
        try:
            return self.measure.fit_target(y, predicted, dtype)
        except ShapeError as error:
            raise ShapeError(f"for the metric {self.name!r}, {error}") from error

    @in_silence()
    def add(
        self,
        y_true: Array,
        y_pred: Array,
        weight: Array | None,
        mask: Array | None,
        logits: Array | None = None,
    ) -> None:
        """See `Metric.add`."""
        y_true, _ = self.fit_target(y_true, y_pred.shape, y_pred.dtype)
        measure, of = self.measure, y_pred
        if logits is not None and measure.link is not None:
            measure, of = measure.on_logits(), logits
        mask = both(mask, measure.counted(y_true))
        e = measure.value(*chosen(mask, y_true, of, None)[:2])
        w = weight if mask is None or weight is None else weight[mask]
        self._add_mean(e, w, steps_a_row(y_pred.shape))


def steps_a_row(predicted: tuple[int, ...]) -> float:
    """T for predictions [B,T,K]; 1 for [B,K]."""
    return float(max(1, int(np.prod(predicted[1:-1]))))


class MeanMetric(MeanOfSteps):
    """A `MeanOfSteps` without parameters."""

    of: Measure

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(self.of, name, dtype)


class Mean(RunningMean):
    """The weighted mean of whatever it is shown: ``update_state(values, sample_weight)``.

    It compares nothing with a target, so `compile` refuses it.
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name or "mean", dtype)

    def update_state(  # type: ignore[override]
        self, values: Any, sample_weight: Any = None
    ) -> None:
        """Show it numbers of any shape.

        Args:
            values: where they have more axes than the weights, the mean over those is weighted.
            sample_weight: of the first axes of ``values``, or with axes of 1 there; None for 1.

        Raises:
            ShapeError: weights that do not fit.
        """
        values = real_array(values, "values", np.dtype(np.float64))
        if sample_weight is None:
            rows = values.shape[0] if values.ndim else 1
            self._add_mean(values, None, max(1, values.size // max(1, rows)))
            return
        weight = real_array(sample_weight, "sample_weight", values.dtype)
        if weight.ndim == values.ndim + 1 and weight.shape[-1] == 1:
            weight = weight[..., 0]
        if weight.ndim < values.ndim:
            values = values.mean(axis=tuple(range(weight.ndim, values.ndim)))
        shapes = zip(weight.shape, values.shape, strict=False)
        if weight.ndim != values.ndim or not all(n in (1, m) for n, m in shapes):
            raise ShapeError(
                f"sample_weight has shape {np.shape(sample_weight)}, and values {values.shape}: "
                "their first axes must be the same"
            )
        weight = np.broadcast_to(weight, values.shape)
        self._add_mean(values, weight, max(1, int(np.prod(values.shape[1:]))))


class FunctionMeasure(Measure):
    """What a function of one's own says of every step: function(y_true, y_pred), as rows."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function = function
        self.name = name

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """Labels as they are, if the loss reads such; else as `Measure.fit_target`."""
        if getattr(y, "dtype", None) == np.int64 and np.shape(y) == predicted[:-1]:
            return np.asarray(y), False
        return super().fit_target(y, predicted, dtype)

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...]; where the function gives a number for each output, their mean."""
        steps, K = y_pred.shape[:-1], y_pred.shape[-1]
        n = int(np.prod(steps))
        rows = y_true.reshape(n, K) if y_true.ndim == y_pred.ndim else y_true.reshape(n)
        e = np.asarray(self.function(rows, y_pred.reshape(n, K)))
        if e.shape not in ((n,), (n, 1), (n, K)):
            raise ShapeError(
                f"the metric {self.name!r} gave an array of shape {e.shape} for predictions [n,K] "
                f"of shape {(n, K)}, and a number for each row is needed, {(n,)}: the steps that "
                "count are given as rows, and their mean is what is reported"
            )
        e = e.astype(np.result_type(e.dtype, np.float32), copy=False)
        return np.asarray(e if e.ndim == 1 else e.mean(axis=-1)).reshape(steps)
