"""Losses of classes: how improbable the prediction makes the class that was there.

Each reads probabilities, as a softmax or a sigmoid gives them, or with ``from_logits=True`` what
goes into those. Probabilities are kept within 1e-7 and 1 - 1e-7 before their logarithm is taken,
so that no single step costs more than 16.2, and where that cuts, the gradient is 0: both as in
Keras. Logits know no such bounds.

What Keras does when probabilities come out of a model
    Keras on TensorFlow looks behind a last softmax or sigmoid and reads the logits, whatever
    ``from_logits`` says. Measured with Keras 3.15, in ``fit`` and ``evaluate``, eager and compiled,
    with label smoothing and without, in losses and in metrics of these names:

    =====================================================  =============
    the model ends in                                      it reads
    =====================================================  =============
    ``Dense(K, activation="softmax")``                     logits
    ``Dense(K)``, ``Activation("softmax")``                logits
    ``Dense(K)``, ``Softmax()``                            logits
    one of these with an activity_regularizer              logits
    ``TimeDistributed(Dense(K, activation="softmax"))``    probabilities
    ``TimeDistributed(Activation("softmax"))``             probabilities
    any of these, with ``ignore_class``                    probabilities
    =====================================================  =============

    and the same with "sigmoid" and `BinaryCrossentropy`. `Loss.link` says behind which activation
    a loss looks, so losses and gradients equal Keras' also where a probability rounds to 0. Three
    things are left as they should be rather than as they are there. Keras does not ask which of
    the two activations it was: it takes the logits of a softmax for those of a sigmoid in
    binary_crossentropy, and the other way round, while here a loss looks behind its own activation
    and reads the probabilities that come out of the other. It looks through an Activation("linear")
    or a Dropout that does nothing behind the softmax. And for a binary target (N,T) and predictions
    (N,T,1) it reads the probabilities (and averages over the wrong axis where there is a mask),
    while it reads the logits for a target (N,T,1); here both are the same.

Targets
    A row of a categorical target should sum to 1. Where one does not, TensorFlow's gradient from
    logits is not that of the loss it reports; here it is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_ref.backend import activate, log_softmax, softmax
from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.training.labels import (
    MISSING,
    check_labels,
    fit_binary,
    fit_labels,
    fit_one_hot,
    warn_of_one_class,
)
from lstm_ref.training.losses.base import Loss
from lstm_ref.training.losses.measure import Measure
from lstm_ref.training.losses.regression import EPSILON
from lstm_ref.training.numbers import number, whole


def bounded(p: Array) -> Array:
    """Probabilities kept within ε and 1 - ε."""
    return np.asarray(np.clip(p, p.dtype.type(EPSILON), p.dtype.type(1 - EPSILON)))


def within(p: Array) -> Array:
    """Where `bounded` changes nothing, so that a gradient passes; at the bounds it does."""
    return np.asarray((p >= p.dtype.type(EPSILON)) & (p <= p.dtype.type(1 - EPSILON)))


@dataclass(frozen=True)
class BinaryError(Measure):
    """-t·ln(p) - (1 - t)·ln(1 - p), averaged over the K outputs: each is a yes or no of its own."""

    from_logits: bool = False
    label_smoothing: float = 0.0

    name = "binary_crossentropy"
    link = "sigmoid"

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """0 for no and 1 for yes, or between."""
        return fit_binary(y, predicted, dtype)

    def on_logits(self) -> "BinaryError":
        """The same of logits."""
        return BinaryError(from_logits=True, label_smoothing=self.label_smoothing)

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...], the mean over K."""
        t = self._smoothed(y_true)
        if self.from_logits:
            e = activate("softplus", y_pred) - t * y_pred
        else:
            p = bounded(y_pred)
            e = -(t * np.log(p) + (1 - t) * np.log(1 - p))
        return np.asarray(np.mean(e, axis=-1))

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """d e / d y_pred, [...,K]."""
        t = self._smoothed(y_true)
        if self.from_logits:
            d = activate("sigmoid", y_pred) - t
        else:
            p = bounded(y_pred)
            d = np.where(within(y_pred), (1 - t) / (1 - p) - t / p, p.dtype.type(0))
        return np.asarray(d / d.dtype.type(max(1, d.shape[-1])))

    def _smoothed(self, t: Array) -> Array:
        s = self.label_smoothing
        return t * t.dtype.type(1 - s) + t.dtype.type(0.5 * s) if s else t


@dataclass(frozen=True)
class CategoricalError(Measure):
    """-Σ t·ln(p) over the K classes, t being 1 at the class that was there, or a distribution.

    Probabilities are first divided by their sum, as in Keras.
    """

    from_logits: bool = False
    label_smoothing: float = 0.0

    name = "categorical_crossentropy"
    link = "softmax"

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """One column a class."""
        warn_of_one_class(predicted)
        return fit_one_hot(y, predicted, dtype)

    def on_logits(self) -> "CategoricalError":
        """The same of logits."""
        return CategoricalError(from_logits=True, label_smoothing=self.label_smoothing)

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...]."""
        t = self._smoothed(y_true)
        if self.from_logits:
            # A class that is impossible costs nothing where nobody claims it: 0·inf is 0 here.
            terms = np.where(t == 0, 0, t * log_softmax(y_pred))
        else:
            terms = t * np.log(bounded(y_pred / np.sum(y_pred, axis=-1, keepdims=True)))
        return np.asarray(-np.sum(terms, axis=-1), y_pred.dtype)

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """d e / d y_pred, [...,K]."""
        t = self._smoothed(y_true)
        if self.from_logits:
            return np.asarray(softmax(y_pred) * np.sum(t, axis=-1, keepdims=True) - t)
        total = np.sum(y_pred, axis=-1, keepdims=True)
        q = y_pred / total
        d_q = np.where(within(q), -t / bounded(q), t.dtype.type(0))
        return np.asarray((d_q - np.sum(d_q * q, axis=-1, keepdims=True)) / total)

    def _smoothed(self, t: Array) -> Array:
        s = self.label_smoothing
        K = max(1, t.shape[-1])
        return t * t.dtype.type(1 - s) + t.dtype.type(s / K) if s else t


@dataclass(frozen=True)
class SparseError(Measure):
    """-ln(p) of the class that was there, which the target names by its number, 0 to K-1.

    Attributes:
        ignore_class: steps with this label do not count; as if they were masked.
    """

    from_logits: bool = False
    ignore_class: int | None = None

    name = "sparse_categorical_crossentropy"

    @property
    def link(self) -> str | None:  # type: ignore[override]
        """Not with `ignore_class`: see the top of the file."""
        return "softmax" if self.ignore_class is None else None

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """Labels, [B,T] or [B], as int64."""
        del dtype
        return fit_labels(y, predicted), False

    def on_logits(self) -> "SparseError":
        """The same of logits."""
        return SparseError(from_logits=True, ignore_class=self.ignore_class)

    def counted(self, y_true: Array) -> Array | None:
        """Which labels are not `ignore_class`, [...]."""
        return None if self.ignore_class is None else y_true != self.ignore_class

    def check_target(
        self, y_true: Array, predicted: tuple[int, ...], mask: Array | None, numbers: Array
    ) -> None:
        """Raise when a label that counts is not one of the K classes."""
        check_labels(y_true, predicted[-1], mask, numbers)

    def value(self, y_true: Array, y_pred: Array) -> Array:
        """e[...]; NaN where the label is none of the K classes."""
        log_p = log_softmax(y_pred) if self.from_logits else np.log(bounded(y_pred))
        at, is_class = _places(y_true, y_pred.shape[-1])
        e = -np.take(log_p, at)
        if not self.from_logits:  # TensorFlow takes these for logits, so they are divided by Σ p
            e = e + np.log(np.sum(bounded(y_pred), axis=-1))
        return e if is_class is None else np.where(is_class, e, np.nan).astype(e.dtype)

    def gradient(self, y_true: Array, y_pred: Array) -> Array:
        """d e / d y_pred, [...,K]; NaN where the label is none of the K classes."""
        at, is_class = _places(y_true, y_pred.shape[-1])
        if self.from_logits:
            d = softmax(y_pred)
            d.reshape(-1)[at] -= 1
        else:
            p = bounded(y_pred)
            d = p / np.sum(p, axis=-1, keepdims=True)
            d.reshape(-1)[at] -= 1
            d = np.where(within(y_pred), d / p, d.dtype.type(0))
        if is_class is not None:
            d[~is_class] = np.nan
        return d


def _places(labels: Array, K: int) -> tuple[Array, Array | None]:
    """Where the labels' outputs stand among [...,K], counted through; and which labels are classes.

    The latter is None where all are.
    """
    is_class = (labels >= 0) & (labels < K)
    rows = np.arange(labels.size).reshape(labels.shape) * K
    if is_class.all():
        return rows + labels, None
    return rows + np.where(is_class, labels, 0), is_class


class Crossentropy(Loss):
    """The part common to the three losses.

    Args:
        measure: the error of a step.
        axis: -1, that of the classes.
        options: further arguments of the constructor, for its config.
    """

    def __init__(
        self,
        measure: BinaryError | CategoricalError | SparseError,
        axis: int,
        reduction: str | None,
        name: str | None,
        dtype: Any,
        **options: Any,
    ) -> None:
        kind = type(self).__name__
        if axis != -1 or isinstance(axis, bool):
            raise UnsupportedError(
                f"{kind}(axis={axis!r}) is not supported: the outputs are the last axis, -1"
            )
        super().__init__(measure, reduction, name, dtype)
        self.from_logits = measure.from_logits
        self.axis = axis
        self._options = options

    def doubt(self, final_activation: str | None) -> str | None:
        """A sentence where the activation before the loss is not the one that belongs to it."""
        own = "sigmoid" if isinstance(self.measure, BinaryError) else "softmax"
        if self.from_logits and final_activation == own:
            return (
                f"the loss {self.name!r} has from_logits=True, and the model ends in a {own}, "
                "which makes probabilities: one of the two is too much. As in Keras, the loss "
                f"reads what goes into the {own}"
            )
        if final_activation in ("softmax", "sigmoid") and final_activation != own:
            return (
                f"the loss {self.name!r} belongs to a {own}, and the model ends in a "
                f"{final_activation}. The loss reads the probabilities that come out of it. (Keras "
                f"on TensorFlow would take what goes into the {final_activation} for what goes "
                f"into a {own}.)"
            )
        return None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            **self._options,
            "axis": self.axis,
        }


class SmoothedCrossentropy(Crossentropy):
    """The part common to the two whose targets may be smoothed; the arguments are theirs."""

    error: type[BinaryError] | type[CategoricalError]

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        need = "a number from 0 to 1 is needed"
        smoothing = number(label_smoothing, self, "label_smoothing", lambda s: 0 <= s <= 1, need)
        self.label_smoothing = float(smoothing)
        measure = self.error(bool(from_logits), self.label_smoothing)
        options = {"label_smoothing": self.label_smoothing}
        super().__init__(measure, axis, reduction, name, dtype, **options)


class BinaryCrossentropy(SmoothedCrossentropy):
    """For outputs that are a yes or no each, behind a sigmoid: Keras' ``"binary_crossentropy"``.

    Args:
        from_logits: whether predictions are what goes into the sigmoid.
        label_smoothing: how much of each target is moved to 1/2, from 0 to 1.
        axis: -1.
        reduction, name: see `Loss`.
    """

    error = BinaryError


class CategoricalCrossentropy(SmoothedCrossentropy):
    """For one of K classes, behind a softmax, with one column a class in the target.

    Args:
        from_logits: whether predictions are what goes into the softmax.
        label_smoothing: how much of each target is spread over all classes, from 0 to 1.
        axis: -1.
        reduction, name: see `Loss`.
    """

    error = CategoricalError


class SparseCategoricalCrossentropy(Crossentropy):
    """For one of K classes, behind a softmax, with its number, 0 to K-1, as target.

    Args:
        from_logits: whether predictions are what goes into the softmax.
        ignore_class: steps with this label do not count; as if they were masked.
        reduction, name: see `Loss`.
        axis: -1.
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if ignore_class is not None:
            need = "a whole number is needed"
            ignore_class = whole(ignore_class, self, "ignore_class", MISSING + 1, need)
        self.ignore_class = ignore_class
        measure = SparseError(bool(from_logits), ignore_class)
        super().__init__(measure, axis, reduction, name, dtype, ignore_class=ignore_class)

    def divisor(self, shape: tuple[int, ...], mask: Array | None) -> float:
        """See `Loss.divisor`; with `ignore_class` it depends on the labels."""
        if self.ignore_class is not None:
            raise UnsupportedError(
                f"the loss {self.name!r} has ignore_class={self.ignore_class}, for which a batch "
                "must be whole: mask the steps instead, or give them the sample_weight 0"
            )
        return super().divisor(shape, mask)


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """The binary cross-entropy of every step, [B,T] for predictions [B,T,K]."""
    loss = BinaryCrossentropy(from_logits, label_smoothing, axis)
    return loss.measure.of_every_step(y_true, y_pred)


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """The cross-entropy of every step, [B,T] for predictions [B,T,K] and targets of that shape."""
    loss = CategoricalCrossentropy(from_logits, label_smoothing, axis)
    return loss.measure.of_every_step(y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Array:
    """The cross-entropy of every step, [B,T] for predictions [B,T,K] and labels [B,T].

    0 where the label is `ignore_class`.
    """
    loss = SparseCategoricalCrossentropy(from_logits, ignore_class, "none", axis)
    return np.asarray(loss(y_true, y_pred))
