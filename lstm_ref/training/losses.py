"""What training makes small, its gradient, and how masks and sample weights enter it.

An error is taken at every time step and averaged over the outputs K; the loss then averages over
rows and steps. With e the error, m the mask (0 at padding) and w the sample weight of each step:

    loss = Σ w·m·e / Σ m        with a mask (0 when no step is real)
    loss = Σ w·e / number of steps        without

so that a sample weight scales its steps and a masked step does not exist. This is what Keras
computes (``keras.losses``); that NaN in a masked step's target or prediction is never looked at
is the library's own addition.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_ref.checks import real_array, step_mask
from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.training.targets import match_target, match_weight


@dataclass(frozen=True)
class ElementError:
    """An error of one output as a function of d = prediction - target, and its derivative."""

    name: str
    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]

    def per_step(self, y_true: Array, y_pred: Array, mask: Array | None) -> Array:
        """e[B,T] from [B,T,K]: the mean over K, 0 at masked steps."""
        return np.asarray(np.mean(self.value(difference(y_true, y_pred, mask)), axis=-1))


SQUARED = ElementError("mean_squared_error", lambda d: d * d, lambda d: 2 * d)
ABSOLUTE = ElementError("mean_absolute_error", np.abs, np.sign)  # sign(0) = 0, as TensorFlow's


def difference(y_true: Array, y_pred: Array, mask: Array | None) -> Array:
    """y_pred - y_true, [B,T,K]; 0 where masked, whatever stands there."""
    if mask is None:
        return y_pred - y_true
    d = np.zeros_like(y_pred)
    np.subtract(y_pred, y_true, out=d, where=mask[..., None])
    return d


def step_weights(shape: tuple[int, ...], weight: Array | None, mask: Array | None) -> Array | None:
    """w·m for each step, of the given shape [B,T]; None stands for 1 everywhere."""
    if mask is None:
        return None if weight is None else np.broadcast_to(weight, shape)
    return mask.astype(np.float64) if weight is None else weight * mask


class Loss:
    """An `ElementError` averaged over the batch.

    Args:
        reduction: "sum_over_batch_size" (the same as "mean"), the formula above; "sum" leaves the
            division out. Keras' others are refused.
        name: as in Keras.
    """

    error: ElementError

    def __init__(
        self,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        if reduction not in ("sum_over_batch_size", "mean", "sum"):
            raise UnsupportedError(
                f"{kind}(reduction={reduction!r}) is not supported: "
                "'sum_over_batch_size', 'mean' and 'sum' are"
            )
        if dtype is not None:
            raise UnsupportedError(f"{kind}(dtype=...): a loss computes in its model's dtype")
        self.reduction = reduction
        self.name = name or self.error.name

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> float:
        """The loss of predictions y_pred[..., K].

        Args:
            y_true: of the shape of y_pred, or without its last axis where that is 1.
            sample_weight: one for each step or row, see ``fit``.
            mask: [B,T], True where the step is real.

        Raises:
            ShapeError: shapes that do not belong together.
        """
        y_pred = real_array(y_pred, "y_pred")
        target, per_row = match_target(y_true, y_pred.shape, y_pred.dtype)
        weight = match_weight(sample_weight, y_pred.shape, y_pred.dtype, per_row)
        mask = None if mask is None else step_mask(mask, *y_pred.shape[:2])
        return self.value(target, y_pred, weight, mask)

    def value(
        self, y_true: Array, y_pred: Array, weight: Array | None, mask: Array | None
    ) -> float:
        """The loss, for arrays that fit; sums are taken in float64."""
        e = self.error.per_step(y_true, y_pred, mask)  # [B,T]
        w = step_weights(e.shape, weight, mask)
        total = np.sum(e if w is None else e * w, dtype=np.float64)
        return float(total) / self.divisor(e.size, mask)

    def gradient(
        self, y_true: Array, y_pred: Array, weight: Array | None, mask: Array | None
    ) -> Array:
        """d loss / d y_pred, [B,T,K]; 0 at masked steps."""
        K = y_pred.shape[-1]
        d_e = self.error.derivative(difference(y_true, y_pred, mask))  # [B,T,K]
        w = step_weights(y_pred.shape[:-1], weight, mask)
        divisor = self.divisor(y_pred.size // max(K, 1), mask) * K
        if w is None:
            return np.asarray(d_e / y_pred.dtype.type(divisor))
        return np.asarray(d_e * (w / divisor).astype(y_pred.dtype)[..., None])

    def divisor(self, steps: int, mask: Array | None) -> float:
        """What the sum over steps is divided by; never 0, so that no real step gives loss 0."""
        if self.reduction == "sum":
            return 1.0
        return max(1.0, float(steps if mask is None else np.count_nonzero(mask)))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {"reduction": self.reduction, "name": self.name}


class MeanSquaredError(Loss):
    """The squared error: Keras' ``"mse"``."""

    error = SQUARED


class MeanAbsoluteError(Loss):
    """The absolute error: Keras' ``"mae"``. Its derivative at 0 is taken as 0."""

    error = ABSOLUTE


def mean_squared_error(y_true: Any, y_pred: Any) -> Array:
    """The squared error of every step, [B,T] for predictions [B,T,K]."""
    return _per_step(SQUARED, y_true, y_pred)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Array:
    """The absolute error of every step, [B,T] for predictions [B,T,K]."""
    return _per_step(ABSOLUTE, y_true, y_pred)


def _per_step(error: ElementError, y_true: Any, y_pred: Any) -> Array:
    y_pred = real_array(y_pred, "y_pred")
    return error.per_step(match_target(y_true, y_pred.shape, y_pred.dtype)[0], y_pred, None)


ERRORS: dict[Any, ElementError] = {
    **dict.fromkeys(("mse", "MSE", "mean_squared_error", "MeanSquaredError"), SQUARED),
    **dict.fromkeys(("mae", "MAE", "mean_absolute_error", "MeanAbsoluteError"), ABSOLUTE),
    mean_squared_error: SQUARED,
    mean_absolute_error: ABSOLUTE,
}
"""The errors by the names and functions that Keras programs use for them."""

LOSSES: dict[str, type[Loss]] = {
    "MeanSquaredError": MeanSquaredError,
    "MeanAbsoluteError": MeanAbsoluteError,
}


def get(identifier: Any) -> Loss:
    """The loss meant by a name, one of the functions above, an object or a config.

    Raises:
        UnsupportedError: for anything else, naming it.
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, dict) and identifier.get("class_name") in LOSSES:
        return LOSSES[identifier["class_name"]](**identifier.get("config", {}))
    error = find_error(identifier)
    if error is None:
        raise UnsupportedError(
            f"loss={identifier!r} is not supported: 'mse' and 'mae' are, as names or as "
            "MeanSquaredError() and MeanAbsoluteError()"
        )
    return MeanSquaredError() if error is SQUARED else MeanAbsoluteError()


def find_error(identifier: Any) -> ElementError | None:
    """The error of that name or function; None when there is none."""
    try:
        return ERRORS.get(identifier)
    except TypeError:  # a list or a dict cannot be a key
        return None


def serialize(loss: Loss) -> dict[str, Any]:
    """What `get` reads back."""
    return {"class_name": type(loss).__name__, "config": loss.get_config()}
