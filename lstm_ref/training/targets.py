"""Does the target fit the prediction, and do the weights fit the target?

Keras broadcasts where shapes differ, and trains on something nobody meant. Here a target has the
shape of the prediction, apart from a last axis of 1 that may be left out; everything else is an
error that says which mistake it usually is.
"""

from typing import Any

import numpy as np

from lstm_ref.checks import real_array, real_numbers, shaped, step_mask
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError

Shape = tuple[int, ...]


def match_target(y: Any, predicted: Shape, dtype: np.dtype[Any]) -> tuple[Array, bool]:
    """``y`` in the shape of the prediction, and whether its last axis of 1 was left out.

    Args:
        y: the target.
        predicted: the shape of the prediction, [B,T,K] or [B,K].
        dtype: of the result.

    Raises:
        ShapeError: any other shape, with the usual cause and its fix.
    """
    y = real_array(y, "y", dtype)
    if y.shape == predicted:
        return y, False
    if predicted[-1] == 1 and y.shape == predicted[:-1]:
        return y[..., None], True
    raise ShapeError(
        f"the target y has shape {y.shape}, and the model predicts {predicted}: "
        f"{mismatch(y.shape, predicted)}"
    )


def mismatch(y: Shape, predicted: Shape) -> str:
    """The usual cause of a target of shape ``y`` for a prediction of shape ``predicted``."""
    if not y or y[0] != predicted[0]:
        return "x and y must have the same number of rows"
    if len(predicted) == 2 and len(y) == 3:
        return (
            "y has a value for every time step and the model gives one for each sequence; set "
            "return_sequences=True on the last LSTM"
        )
    if len(predicted) == 2 and len(y) == 2:
        return (
            f"the last layer has {predicted[1]} outputs and y has {y[1]} columns; use "
            f"Dense({y[1]}), or, where the columns of y are time steps, set "
            "return_sequences=True on the last LSTM"
        )
    if len(predicted) == 2:
        return f"y needs {predicted[1]} columns, one for each output of the last layer"
    if len(y) < 3 and y[1:2] != predicted[1:2]:
        return (
            "the model gives an output at every time step and y has one value for each sequence; "
            "set return_sequences=False on the last LSTM, or give y the shape (batch, time, "
            "outputs)"
        )
    if y[1] != predicted[1]:
        return (
            f"y has {y[1]} time steps and x has {predicted[1]}; to predict the next step, cut both "
            "alike: x[:, :-1] with y = x[:, 1:]"
        )
    return (
        f"the last layer has {predicted[-1]} outputs; use Dense({y[-1] if len(y) == 3 else 1}), or "
        f"choose {predicted[-1]} columns for y"
    )


def direct_weight(
    weight: Any, predicted: Shape, dtype: np.dtype[Any], per_row: bool
) -> Array | None:
    """`match_weight` for a loss or metric that is called alone: one number is for all steps.

    Raises:
        ShapeError: as `match_weight`.
    """
    if weight is not None and np.ndim(weight) == 0:
        return np.full(predicted[:-1], real_array(weight, "sample_weight", dtype))
    return match_weight(weight, predicted, dtype, per_row)


def direct_mask(mask: Any, predicted: Shape) -> Array | None:
    """A mask as a loss or metric is given it in a call: bool, [B,T], or [B] for predictions [B,K].

    Raises:
        ShapeError: another shape.
    """
    if mask is None:
        return None
    if len(predicted) == 3:
        return step_mask(mask, *predicted[:2])
    given = real_numbers(mask, "mask").astype(bool)
    return shaped(given, predicted[:-1], "mask", "one True or False for each prediction")


def match_weight(
    weight: Any, predicted: Shape, dtype: np.dtype[Any], per_row: bool
) -> Array | None:
    """Sample weights in the shape of the prediction without its last axis: [B,T] or [B].

    Args:
        weight: for a prediction [B,T,K] one weight a step, (B,T) or (B,T,1), or one a row,
            (B,1) or (B,1,1); for a prediction [B,K] (B,) or (B,1). None stays None.
        per_row: the target was given as (B,T), for which (B,) is also one weight a row.

    Raises:
        ShapeError: any other shape. (B,) weights for a per-step target are refused, since Keras
            spreads them over the time axis where B happens to equal T.
    """
    if weight is None:
        return None
    weight = real_array(weight, "sample_weight", dtype)
    steps = predicted[:-1]
    given = weight.shape
    if weight.ndim == len(steps) + 1 and given[-1] == 1:
        weight = weight[..., 0]
    if weight.ndim == 1 and len(steps) == 2 and per_row:
        weight = weight[:, None]
    if weight.ndim == len(steps) and all(
        n in (length, 1 if axis else length)
        for axis, (n, length) in enumerate(zip(weight.shape, steps, strict=True))
    ):
        return np.broadcast_to(weight, steps)
    wanted, advice = f"one for each step, {steps}, or one for each row, ({predicted[0]}, 1),", ""
    if len(steps) == 1:
        wanted = f"one for each row, {steps}"
    elif given == steps[:1]:
        advice = "; for one a row use sample_weight[:, None]"
    raise ShapeError(
        f"sample_weight has shape {given}, and the model predicts {predicted}: {wanted} is needed"
        f"{advice}"
    )


def check_counted(y: Array, mask: Array | None, numbers: Array) -> None:
    """Raise when a target that counts in the loss is NaN.

    Args:
        y: the targets of a batch, [B,T,K] or [B,K]; labels, which are whole numbers, are none.
        mask: [B,T], True where the step is real, or None.
        numbers: [B], the numbers of the rows in the caller's data, for the message.

    Raises:
        ValueError: naming the first such row and step.
    """
    if y.dtype.kind != "f":
        return
    missing = np.isnan(y).any(axis=-1)  # [B,T]
    if mask is not None:
        missing &= mask
    if not missing.any():
        return
    row, *step = np.argwhere(missing)[0]
    place = ", ".join([f"row {numbers[row]}", *(f"step {t}" for t in step)])
    raise ValueError(
        f"the target y is NaN at {place}, which counts, so the loss is NaN. {MISSING_LABEL}"
    )


MISSING_LABEL = (
    "Where a label is missing, give its step the sample_weight 0 and any number as label; where "
    "the step is padding, mask it: Masking(mask_value) as the first layer, with x padded by "
    "mask_value there"
)
"""What to do where there is no label."""


def looks_padded(x: Array, y: Array) -> bool:
    """Whether some rows of x[B,T,D] and y begin or end in zeros, as after ``pad_sequences``.

    Steps that are all 0 stand at one end of the rows only, in x and y alike, and not every row
    has the same number of them. y may be labels [B,T].
    """
    a_step_each = y.ndim == 3 or (y.ndim == 2 and y.dtype.kind == "i")
    if x.ndim != 3 or not a_step_each or y.shape[:2] != x.shape[:2]:
        return False
    T = x.shape[1]
    zero = ~x.any(axis=2)  # [B,T]
    lengths = np.count_nonzero(zero, axis=1)
    partly = (lengths > 0) & (lengths < T)
    if not partly.any() or (lengths == lengths[0]).all() or y[zero].any():
        return False
    steps = np.arange(T)
    before, after = steps < lengths[:, None], steps >= T - lengths[:, None]
    return bool((zero == before).all() or (zero == after).all())


PADDING_ADVICE = (
    "some rows of x and y begin or end in zeros, as pad_sequences leaves them, and no layer masks "
    "them: the padding is learned from and counts in the loss and the metrics. If it is padding, "
    "make Masking(mask_value=0.0) the first layer; if these are real values, this warning can be "
    "ignored"
)
