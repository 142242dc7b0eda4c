"""Metrics of classes: how often the prediction is right."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_ref.checks import real_array
from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.training.labels import fit_labels, fit_one_hot
from lstm_ref.training.losses.by_shape import is_binary_or_sparse
from lstm_ref.training.losses.measure import Measure
from lstm_ref.training.metrics.base import MeanMetric, MeanOfSteps
from lstm_ref.training.numbers import number, whole


class Right(Measure):
    """1 where the prediction is right and 0 where it is not; NaN is never right."""


@dataclass(frozen=True)
class Equal(Right):
    """How many of the K outputs are what they should be to the last bit, as a part of K."""

    name = "accuracy"

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...]."""
        return np.asarray(np.mean(y_true == y_pred, axis=-1, dtype=y_pred.dtype))


@dataclass(frozen=True)
class Binary(Right):
    """How many of the K outputs are on the right side of the threshold, as a part of K."""

    threshold: float = 0.5
    name = "binary_accuracy"

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...]."""
        yes = y_pred > y_pred.dtype.type(self.threshold)
        return np.asarray(np.mean(y_true == yes, axis=-1, dtype=y_pred.dtype))


@dataclass(frozen=True)
class Categorical(Right):
    """Whether the largest output is at the column of the class that was there.

    Attributes:
        k: the k largest outputs will do. None for the largest alone, the first of several alike.
        labels: the target is the number of the class, not a column for each.
        name: as Keras calls it.
    """

    k: int | None
    labels: bool
    name: str

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """Labels, or one column a class."""
        if self.labels:
            return fit_labels(y, predicted), False
        return fit_one_hot(y, predicted, dtype)

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...]."""
        label = y_true if self.labels else np.argmax(y_true, axis=-1)
        if self.k is None:
            right = np.argmax(y_pred, axis=-1) == label
        else:
            right = in_top(self.k, label, y_pred)
        return np.asarray(right.astype(y_pred.dtype))


def in_top(k: int, label: Array, y_pred: Array) -> Array:
    """Whether fewer than k outputs are larger than that of the label, as TensorFlow's in_top_k.

    Not where the row has numbers that are not finite, and not where the label is no class.
    """
    K = y_pred.shape[-1]
    is_class = (label >= 0) & (label < K)
    own = np.take_along_axis(y_pred, np.where(is_class, label, 0)[..., None], axis=-1)
    larger = np.count_nonzero(y_pred > own, axis=-1)
    result: Array = is_class & np.isfinite(y_pred).all(axis=-1) & (larger < k)
    return result


CATEGORICAL = Categorical(None, labels=False, name="categorical_accuracy")
SPARSE = Categorical(None, labels=True, name="sparse_categorical_accuracy")


class Accuracy(MeanMetric):
    """How many outputs equal their target to the last bit.

    ``compile(metrics=["accuracy"])`` means another one: see `AccuracyByShape`.
    """

    of = Equal()


class BinaryAccuracy(MeanOfSteps):
    """How many outputs are on the right side of the threshold: targets are 0 and 1.

    Args:
        name: for reports.
        threshold: an output above it is a yes.
    """

    def __init__(self, name: str | None = None, dtype: Any = None, threshold: float = 0.5) -> None:
        self.threshold = number(threshold, self, "threshold")
        super().__init__(Binary(self.threshold), name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {**super().get_config(), "threshold": self.threshold}


class CategoricalAccuracy(MeanMetric):
    """How often the largest output is that of the class; targets have one column a class."""

    of = CATEGORICAL


class SparseCategoricalAccuracy(MeanMetric):
    """How often the largest output is that of the class; targets are labels, 0 to K-1."""

    of = SPARSE


class TopKCategoricalAccuracy(MeanOfSteps):
    """How often the class is among the k largest outputs; targets have one column a class.

    Outputs of the same size all count as the larger one.

    Args:
        k: how many.
        name: for reports.
    """

    def __init__(self, k: int = 5, name: str | None = None, dtype: Any = None) -> None:
        self.k = _count(k, self)
        measure = Categorical(self.k, labels=False, name="top_k_categorical_accuracy")
        super().__init__(measure, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {**super().get_config(), "k": self.k}


class SparseTopKCategoricalAccuracy(MeanOfSteps):
    """How often the class is among the k largest outputs; targets are labels, 0 to K-1.

    Args:
        k: how many.
        name: for reports.
        from_sorted_ids: refused: predictions are outputs, not classes in their order.
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = None,
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        if from_sorted_ids:
            raise UnsupportedError(
                "SparseTopKCategoricalAccuracy(from_sorted_ids=True) is not supported: "
                "predictions are one output a class"
            )
        self.k, self.from_sorted_ids = _count(k, self), False
        measure = Categorical(self.k, labels=True, name="sparse_top_k_categorical_accuracy")
        super().__init__(measure, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {**super().get_config(), "k": self.k}


def _count(k: Any, owner: object) -> int:
    return whole(k, owner, "k", 1, "a positive whole number is needed")


class AccuracyByShape(MeanOfSteps):
    """What "accuracy" and "acc" mean to ``compile``, in capitals or not.

    `BinaryAccuracy` where there is one output a step; else `SparseCategoricalAccuracy` for labels
    and `CategoricalAccuracy` for one column a class. The first batch decides.
    """

    NAMES = ("accuracy", "acc")

    def __init__(self, name: str) -> None:
        super().__init__(Equal(), name)
        self._decided = False

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """``y`` as the metric reads it; the first one decides which metric it is."""
        if not self._decided:
            binary, sparse = is_binary_or_sparse(np.shape(y), predicted)
            self.measure = Binary() if binary else SPARSE if sparse else CATEGORICAL
            self._decided = True
        return super().fit_target(y, predicted, dtype)


# The functions.


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """1 or 0 for every output, of the shape of y_pred."""
    y_pred = real_array(y_pred, "y_pred")
    target, _ = Binary().fit_target(y_true, y_pred.shape, y_pred.dtype)
    right = target == (y_pred > y_pred.dtype.type(threshold))
    return np.asarray(right.astype(y_pred.dtype))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 or 0 for every step, [B,T] for predictions [B,T,K] and targets of that shape."""
    return CATEGORICAL.of_every_step(y_true, y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 or 0 for every step, [B,T] for predictions [B,T,K] and labels [B,T]."""
    return SPARSE.of_every_step(y_true, y_pred)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """1 or 0 for every step, [B,T] for predictions [B,T,K] and targets of that shape."""
    return TopKCategoricalAccuracy(k).measure.of_every_step(y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """1 or 0 for every step, [B,T] for predictions [B,T,K] and labels [B,T]."""
    return SparseTopKCategoricalAccuracy(k).measure.of_every_step(y_true, y_pred)
