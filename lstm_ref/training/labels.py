"""Classes as targets: their numbers, their columns, and what each of them weighs.

A label is a whole number from 0 to K-1. Whether one lies outside can be said only when the mask is
known, for the labels of padded steps may be anything. So a label that is none, and counts, makes
NaN of the loss, and then `check_labels` says which it was.
"""

import numbers
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm_ref.checks import real_numbers
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.training.targets import MISSING_LABEL, Shape, match_target, mismatch

MISSING = np.iinfo(np.int64).min
"""The label where NaN stood."""


def fit_labels(y: Any, predicted: Shape) -> Array:
    """``y`` as labels, one for each step, int64 [B,T] or [B]; `MISSING` where it is NaN.

    Args:
        y: [B,T] or [B,T,1] for predictions [B,T,K], [B] or [B,1] for [B,K].
        predicted: the shape of the prediction.

    Raises:
        ShapeError: another shape, with the usual cause and its fix.
        ValueError: numbers that are not whole.
    """
    labels, steps = real_numbers(y, "y"), predicted[:-1]
    if labels.shape == (*steps, 1):
        labels = labels[..., 0]
    if labels.shape != steps:
        raise ShapeError(
            f"the target y has shape {labels.shape}, and the model predicts {predicted}, for which "
            f"labels have the shape {steps}: {_no_labels(labels.shape, predicted)}"
        )
    if labels.dtype.kind != "f":
        return labels.astype(np.int64, copy=False)
    there = np.isfinite(labels)
    whole = np.where(there, labels, 0).astype(np.int64)
    if not np.array_equal(whole, np.where(there, labels, 0)):
        wrong = labels[there & (whole != labels)][0]
        raise ValueError(
            f"the target y holds {wrong}, and a label is a whole number, that of its class. For "
            "probabilities, one column a class, use categorical_crossentropy; for numbers a loss "
            "such as 'mse'"
        )
    return np.where(there, whole, MISSING)


def _no_labels(y: Shape, predicted: Shape) -> str:
    """The usual cause of a shape that labels do not have."""
    steps = list(predicted[:-1])
    if y == predicted:
        return (
            "this is a column for each class; use categorical_crossentropy, or make labels of it "
            "with y.argmax(axis=-1)"
        )
    if len(y) == len(predicted) and list(y[:-1]) == steps:
        return (
            f"a label is one number, and there are {y[-1]} columns; with one column a class use "
            f"categorical_crossentropy and Dense({y[-1]})"
        )
    has_last = len(y) > 1 and y[-1] == 1
    return mismatch(y if has_last else (*y, 1), (*steps, 1))


def fit_one_hot(y: Any, predicted: Shape, dtype: np.dtype[Any]) -> tuple[Array, bool]:
    """``y`` with one column a class, [B,T,K] or [B,K], as `match_target` gives it.

    Raises:
        ShapeError: labels, or another shape.
    """
    given, K = real_numbers(y, "y"), predicted[-1]
    if K > 1 and given.shape in (predicted[:-1], (*predicted[:-1], 1)):
        raise ShapeError(
            f"the target y has shape {given.shape}, a label for each prediction, and the model "
            f"predicts {predicted}, for which a column for each class is needed: use "
            "sparse_categorical_crossentropy (and sparse_categorical_accuracy), which read labels, "
            f"or make columns of them with to_categorical(y, num_classes={K})"
        )
    return match_target(given, predicted, dtype)


def warn_of_one_class(predicted: Shape) -> None:
    """Warn where there is but one class, which always has the probability 1.

    Warns:
        UserWarning: one output.
    """
    if predicted[-1] == 1:
        warnings.warn(f"{ONE_OUTPUT}. Otherwise the loss is always 0", stacklevel=4)


ONE_OUTPUT = (
    "the last layer has one output, which a softmax makes 1, whatever it is: for two classes use "
    "Dense(1, activation='sigmoid') with binary_crossentropy, or Dense(2, activation='softmax')"
)


def fit_binary(y: Any, predicted: Shape, dtype: np.dtype[Any]) -> tuple[Array, bool]:
    """``y`` as 0 and 1, as `match_target` gives it.

    Raises:
        ShapeError: another shape.
        ValueError: the two classes have other numbers.
    """
    target, per_row = match_target(y, predicted, dtype)
    if target.size and (np.min(target) < 0 or np.max(target) > 1):
        values = np.unique(target)
        for low, high, way in ((-1, 1, "(y + 1) / 2"), (1, 2, "y - 1")):
            if np.array_equal(values, [low, high]):
                raise ValueError(
                    f"the target y holds {low} and {high}, and binary_crossentropy needs 0 for no "
                    f"and 1 for yes: use {way}"
                )
    return target, per_row


def check_labels(labels: Array, K: int, mask: Array | None, numbers: Array) -> None:
    """Raise when a label that counts is none of K classes.

    Args:
        labels: [B,T] or [B], as `fit_labels` gives them.
        K: the number of classes.
        mask: [B,T], True where the step counts, or None.
        numbers: [B], the numbers of the rows in the caller's data, for the message.

    Raises:
        ValueError: naming the first such label, its row and its step.
    """
    counted = np.ones(labels.shape, bool) if mask is None else mask
    wrong = counted & ((labels < 0) | (labels >= K))
    if not wrong.any():
        return
    row, *step = np.argwhere(wrong)[0]
    label = int(labels[(row, *step)])
    place = ", ".join([f"row {numbers[row]}", *(f"step {t}" for t in step)])
    shown = "NaN" if label == MISSING else label
    raise ValueError(
        f"the target y is {shown} at {place}, which counts, and the {K} outputs are the classes 0 "
        f"to {K - 1}. {_no_class(label, K, labels[counted])}"
    )


def _no_class(label: int, K: int, counted: Array) -> str:
    """The usual cause of a label that is none."""
    if K == 1:
        return ONE_OUTPUT[0].upper() + ONE_OUTPUT[1:]
    if label < 0:
        ignored = "" if label == MISSING else f"; or ignore it: ignore_class={label}"
        return MISSING_LABEL.replace("any number", "any class") + ignored
    if counted.min() == 1 and counted.max() == K:
        return f"The labels seem to count from 1 to {K}: use y - 1"
    return f"Use Dense({int(counted.max()) + 1}), or look where such a label comes from"


def class_weights(
    target: Array,
    class_weight: Mapping[int, float],
    predicted: Shape,
    dtype: np.dtype[Any],
    weight: Array | None = None,
) -> Array:
    """What each step weighs by its class, times its sample weight; [B,T] or [B].

    The class of a step is its label; the column with the largest number; or 0 or 1 where there is
    one output. A class that is not named weighs 1, and so does a step without a label. Keras does
    the same where there is one label a row; for one a step it fails. It refuses `class_weight`
    beside `sample_weight`, which Keras 2 multiplied, as is done here.

    Args:
        target: as a loss reads it: labels[B,T] or [B], or columns [B,T,K] or [B,K].
        class_weight: by class, {0: 1.0, 1: 5.0}.
        predicted: the shape of the prediction, [B,T,K] or [B,K].
        dtype: of the result.
        weight: sample weights, [B,T] or [B], or None.

    Raises:
        TypeError: no dict, or keys that are no whole numbers.
        ValueError: a class there is not, a weight that is none, or targets without classes.
    """
    K = predicted[-1]
    classes = max(2, K)
    _check_weights(class_weight, classes)
    of_class = np.ones(classes, dtype)
    for number, value in class_weight.items():
        of_class[number] = value
    labels = _classes(target, K)
    there = (labels >= 0) & (labels < classes)
    factor = np.where(there, of_class[np.where(there, labels, 0)], dtype.type(1))
    return factor if weight is None else factor * weight


def _check_weights(class_weight: Any, classes: int) -> None:
    example = "for example class_weight={0: 1.0, 1: 5.0}"
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight={class_weight!r}: a dict is needed, {example}")
    for number, value in class_weight.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise TypeError(
                f"class_weight has the key {number!r}, and a class is a whole number: {example}"
            )
        if not 0 <= number < classes:
            raise ValueError(
                f"class_weight has the key {number}, and there are the classes 0 to {classes - 1}"
            )
        if not isinstance(value, numbers.Real) or not 0 <= float(value) < np.inf:
            raise ValueError(
                f"class_weight[{number}] is {value!r}: a finite number is needed, 0 or more"
            )


def _classes(target: Array, K: int) -> Array:
    """The class of each step; `MISSING` where there is none."""
    if target.dtype.kind == "i":
        return target
    there = np.asarray(~np.isnan(target).any(axis=-1))
    if K > 1:
        if (np.sum(target, axis=-1, where=there[..., None]) > 1.5).any():
            raise ValueError(
                "class_weight is for one class a step, and y has steps with several (its columns "
                "sum to more than 1): give sample_weight instead"
            )
        return np.where(there, np.argmax(target, axis=-1), MISSING)
    numbers = target[..., 0]
    whole = np.where(there, numbers, 0).astype(np.int64)
    if not np.isin(numbers[there], (0, 1)).all():
        raise ValueError(
            "class_weight is for classes; with one output these are 0 and 1, and y has other "
            "numbers: give sample_weight instead"
        )
    return np.where(there, whole, MISSING)


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Labels as columns, one a class: 1 in that of the label and 0 elsewhere, float64 [...,K].

    Keras: ``keras.utils.to_categorical``, which takes -1 for the last class and cuts off what
    stands behind the point.

    Args:
        x: whole numbers from 0 on; a last axis of 1 is dropped.
        num_classes: K; None for the largest label and 1.

    Raises:
        ValueError: numbers that are not labels of K classes.
    """
    given = real_numbers(x, "x")
    steps = given.shape[:-1] if given.ndim > 1 and given.shape[-1] == 1 else given.shape
    labels = fit_labels(given, (*steps, 1))
    if num_classes is None:
        if not labels.size:
            raise ValueError("x is empty, so num_classes must say how many columns there are")
        num_classes = int(labels.max()) + 1
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        shown = "NaN" if wrong[0] == MISSING else wrong[0]
        raise ValueError(
            f"x holds {shown}, and {num_classes} classes are 0 to {num_classes - 1}; labels that "
            "count from 1 need x - 1"
        )
    columns = np.zeros((labels.size, num_classes))
    columns[np.arange(labels.size), labels.reshape(-1)] = 1
    return columns.reshape(*labels.shape, num_classes)
