"""What training makes small: how steps, masks and sample weights become one number.

With e the error of a step, m the mask (0 at padding) and w the sample weight of each step:

    loss = Σ w·m·e / Σ m        with a mask (0 when no step is real)
    loss = Σ w·e / number of steps        without

so that a sample weight scales its steps and a masked step does not exist. This is what Keras
computes (``keras.losses``); that NaN in a masked step's target or prediction is never looked at
is the library's own addition.
"""

import math
from typing import Any, Self

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.training.losses.measure import Measure, in_silence, prediction
from lstm_ref.training.targets import direct_mask, direct_weight

MEANS = ("sum_over_batch_size", "mean")
REDUCTIONS = (*MEANS, "sum", "mean_with_sample_weight", "none", None)


class Loss:
    """A `Measure` taken at every step and averaged over the batch.

    Args:
        measure: the error of a step.
        reduction: "sum_over_batch_size" (the same as "mean"), the formula above; "sum" leaves the
            division out; "mean_with_sample_weight" divides by Σ w·m instead. "none" or None gives
            w·m·e, for a call alone: training needs one number.
        name: as in Keras.
        dtype: refused: a loss computes in the dtype of the predictions.

    Where weights are given a row, (B,1), and there are steps, Keras' "mean_with_sample_weight"
    divides by the sum over rows, unless there is a mask: it forgets that each weight counts T
    times. Here each counts as often as it is used.
    """

    def __init__(
        self,
        measure: Measure,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"{kind}(reduction={reduction!r}): one of {', '.join(map(repr, REDUCTIONS))} is "
                "needed"
            )
        if dtype is not None:
            raise UnsupportedError(f"{kind}(dtype=...): a loss computes in its model's dtype")
        self.measure = measure
        self.reduction = reduction
        self.name = name or measure.name

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> Any:
        """The loss of predictions y_pred[..., K]: a number, or w·m·e[...] with no reduction.

        Args:
            y_true: of the shape of y_pred, or without its last axis where that is 1; labels[...]
                for a loss that reads those.
            sample_weight: one for each step or row, see ``fit``; or one number for all.
            mask: [B,T], True where the step is real.

        Raises:
            ShapeError: shapes that do not belong together.
            ValueError: a label that counts is none.
        """
        y_pred = prediction(y_pred)
        target, per_row = self.fit_target(y_true, y_pred.shape, y_pred.dtype)
        weight = direct_weight(sample_weight, y_pred.shape, y_pred.dtype, per_row)
        mask = direct_mask(mask, y_pred.shape)
        if self.reduction in ("none", None):
            return self._each(target, y_pred, weight, mask)
        value = self.value(target, y_pred, weight, mask)
        if np.isnan(value) and y_pred.ndim > 1:
            self.check_target(target, y_pred.shape, mask, np.arange(len(y_pred)))
        return value

    # What training needs of it, with arrays that fit.

    @property
    def link(self) -> str | None:
        """The activation behind which Keras reads the logits: "softmax", "sigmoid" or None."""
        return self.measure.link

    def on_logits(self) -> "Loss":
        """The same loss, reading what `link` was applied to in the place of its result."""
        measure = self.measure.on_logits()
        return self if measure is self.measure else Loss(measure, self.reduction, self.name)

    def doubt(self, final_activation: str | None) -> str | None:
        """What is probably not meant when predictions end in this activation; None if nothing."""
        del final_activation
        return None

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """``y`` as the loss reads it, and whether its last axis of 1 was left out.

        Raises:
            ShapeError, ValueError: see `Measure.fit_target`.
        """
        return self.measure.fit_target(y, predicted, dtype)

    def check_target(
        self, y_true: Array, predicted: tuple[int, ...], mask: Array | None, numbers: Array
    ) -> None:
        """Raise when a target that counts makes NaN of the loss; see `Measure.check_target`."""
        mask = both(mask, self.measure.counted(y_true))
        self.measure.check_target(y_true, predicted, mask, numbers)

    @in_silence()
    def value(
        self,
        y_true: Array,
        y_pred: Array,
        weight: Array | None,
        mask: Array | None,
        divisor: float | None = None,
    ) -> float:
        """The loss, for arrays that fit; sums are taken in float64.

        Args:
            y_true: as `fit_target` gives it.
            y_pred: [B,T,K] or [B,K].
            weight, mask: [B,T] or [B], or None.
            divisor: what the sum is divided by, where these arrays are a part of a batch.
        """
        mask = both(mask, self.measure.counted(y_true))
        counted, of_steps, w = chosen(mask, y_true, y_pred, weight)
        e = self.measure.value(counted, of_steps)
        total = np.sum(e if w is None else e * w, dtype=np.float64)
        if divisor is None:
            divisor = self._divisor(y_pred.shape[:-1], w, mask)
        return float(total) / divisor

    @in_silence()
    def gradient(
        self,
        y_true: Array,
        y_pred: Array,
        weight: Array | None,
        mask: Array | None,
        divisor: float | None = None,
    ) -> Array:
        """d loss / d y_pred, of y_pred's shape and dtype; 0 at masked steps."""
        mask = both(mask, self.measure.counted(y_true))
        counted, of_steps, w = chosen(mask, y_true, y_pred, weight)
        if divisor is None:
            divisor = self._divisor(y_pred.shape[:-1], w, mask)
        d = self.measure.gradient(counted, of_steps)
        if w is None:
            d = d / y_pred.dtype.type(divisor)
        else:
            d = d * (w / divisor).astype(y_pred.dtype)[..., None]
        if mask is None:
            return np.asarray(d)
        whole = np.zeros_like(y_pred)
        whole[mask] = d
        return whole

    def divisor(self, shape: tuple[int, ...], mask: Array | None) -> float:
        """What the sum over the steps of a batch is divided by, for one that comes in parts.

        Args:
            shape: [B,T] or [B], that of the predictions without K.
            mask: [B,T], or None.

        Raises:
            UnsupportedError: it depends on more than the mask.
        """
        if self.reduction not in (*MEANS, "sum"):
            raise UnsupportedError(
                f"the loss {self.name!r} has reduction={self.reduction!r}, for which a batch must "
                "be whole: 'sum_over_batch_size', 'mean' and 'sum' may come in parts"
            )
        return self._divisor(shape, None, mask)

    def _divisor(self, shape: tuple[int, ...], w: Array | None, mask: Array | None) -> float:
        """The same for a whole batch, w being the weights of the steps that count.

        Raises:
            UnsupportedError: with no reduction there is no sum.
        """
        if self.reduction == "sum":
            return 1.0
        if self.reduction in ("none", None):
            raise UnsupportedError(
                f"the loss {self.name!r} has reduction={self.reduction!r}, so it is a number for "
                "every step, and training needs one for all: use 'sum_over_batch_size'"
            )
        if self.reduction == "mean_with_sample_weight" and w is not None:
            return float(np.sum(w, dtype=np.float64)) or 1.0
        steps = math.prod(shape) if mask is None else np.count_nonzero(mask)
        return max(1.0, float(steps))  # no real step gives loss 0

    @in_silence()
    def _each(
        self, y_true: Array, y_pred: Array, weight: Array | None, mask: Array | None
    ) -> Array:
        """w·m·e[...]."""
        mask = both(mask, self.measure.counted(y_true))
        counted, of_steps, w = chosen(mask, y_true, y_pred, weight)
        e = self.measure.value(counted, of_steps)
        return np.asarray(scattered(e if w is None else e * w, mask))

    # Names and configs.

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {"reduction": self.reduction, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The loss that `get_config` described."""
        return cls(**config)


def both(mask: Array | None, counted: Array | None) -> Array | None:
    """The steps of both masks; None stands for all."""
    if mask is None or counted is None:
        return counted if mask is None else mask
    return mask & counted


def chosen(
    mask: Array | None, y_true: Array, y_pred: Array, weight: Array | None
) -> tuple[Array, Array, Array | None]:
    """The three at the steps that count, [n,K] and [n]; as they are without a mask.

    What stands at the others is never looked at.
    """
    if mask is None:
        return y_true, y_pred, weight
    return y_true[mask], y_pred[mask], None if weight is None else weight[mask]


def scattered(e: Array, mask: Array | None) -> Array:
    """e[n] of the steps that count, in their places [B,T]; 0 elsewhere."""
    if mask is None:
        return e
    whole = np.zeros(mask.shape, e.dtype)
    whole[mask] = e
    return whole
