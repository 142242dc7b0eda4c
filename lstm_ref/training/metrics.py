"""What an epoch reports: the loss and the metrics, accumulated over its batches.

Each metric is Σ w·m·e / Σ w·m over all steps of the epoch. The loss is averaged over batches by
their number of rows: Σ n·loss / Σ n. So a metric "mse" and the loss "mse" differ when the batches
hold different numbers of real steps. Both rules are Keras'.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstm_ref.checks import real_array, step_mask
from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.layers.session import snake_case
from lstm_ref.training.losses import (
    ABSOLUTE,
    SQUARED,
    ElementError,
    find_error,
    step_weights,
)
from lstm_ref.training.targets import match_target, match_weight


class Metric:
    """The weighted mean of an error over everything it was shown since `reset_state`."""

    error: ElementError

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        if dtype is not None:
            raise UnsupportedError(
                f"{type(self).__name__}(dtype=...): a metric accumulates in float64"
            )
        self.name = name or self.error.name
        self.reset_state()

    def reset_state(self) -> None:
        """Forget everything."""
        self.total, self.count = 0.0, 0.0

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> None:
        """Show it one batch of predictions [..., K]; the arguments are those of a loss."""
        y_pred = real_array(y_pred, "y_pred")
        target, per_row = match_target(y_true, y_pred.shape, y_pred.dtype)
        weight = match_weight(sample_weight, y_pred.shape, y_pred.dtype, per_row)
        self.add(
            target, y_pred, weight, None if mask is None else step_mask(mask, *y_pred.shape[:2])
        )

    def add(self, y_true: Array, y_pred: Array, weight: Array | None, mask: Array | None) -> None:
        """`update_state` for arrays that fit."""
        e = self.error.per_step(y_true, y_pred, mask)
        w = step_weights(e.shape, weight, mask)
        self.total += float(np.sum(e if w is None else e * w, dtype=np.float64))
        self.count += float(e.size if w is None else np.sum(w, dtype=np.float64))

    def result(self) -> float:
        """The mean so far; 0 when nothing counted."""
        return self.total / self.count if self.count else 0.0

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {"name": self.name}


class MeanSquaredError(Metric):
    """The mean squared error."""

    error = SQUARED


class MeanAbsoluteError(Metric):
    """The mean absolute error."""

    error = ABSOLUTE


METRICS: dict[str, type[Metric]] = {
    "MeanSquaredError": MeanSquaredError,
    "MeanAbsoluteError": MeanAbsoluteError,
}


def get(identifier: Any) -> Metric:
    """The metric meant by a name, a loss function, an object or a config.

    A metric asked for by name reports under that very name: "mse" as "mse".

    Raises:
        UnsupportedError: for anything else, naming it.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, dict) and identifier.get("class_name") in METRICS:
        return METRICS[identifier["class_name"]](**identifier.get("config", {}))
    error = find_error(identifier)
    if error is None:
        raise UnsupportedError(
            f"the metric {identifier!r} is not supported: 'mse' and 'mae' are, as names or as "
            "MeanSquaredError() and MeanAbsoluteError()"
        )
    kind = MeanSquaredError if error is SQUARED else MeanAbsoluteError
    return kind(identifier if isinstance(identifier, str) else snake_case(identifier.__name__))


def get_all(identifiers: Any, argument: str) -> list[Metric]:
    """The metrics of a list, as ``compile`` takes it.

    Raises:
        UnsupportedError: not a list.
    """
    if not identifiers:
        return []
    if not isinstance(identifiers, list | tuple):
        raise UnsupportedError(
            f"{argument}={identifiers!r}: a list is needed, for example {argument}=['mae']"
        )
    return [get(identifier) for identifier in identifiers]


def serialize(metric: Metric) -> dict[str, Any]:
    """What `get` reads back."""
    return {"class_name": type(metric).__name__, "config": metric.get_config()}


class Report:
    """The loss and the metrics of one epoch, or since the last `reset`.

    Args:
        metrics: see the mask but not the sample weights, as in Keras.
        weighted_metrics: see both.
    """

    def __init__(self, metrics: Sequence[Metric], weighted_metrics: Sequence[Metric]) -> None:
        self.metrics, self.weighted_metrics = list(metrics), list(weighted_metrics)
        self.names = _unique_names(self.metrics, self.weighted_metrics)
        self.reset()

    def reset(self) -> None:
        """Begin a new epoch."""
        self._loss, self._rows = 0.0, 0
        for metric in (*self.metrics, *self.weighted_metrics):
            metric.reset_state()

    def add(
        self,
        loss: float,
        y_true: Array,
        y_pred: Array,
        weight: Array | None,
        mask: Array | None,
    ) -> None:
        """One batch more."""
        rows = y_pred.shape[0]
        self._loss += loss * rows
        self._rows += rows
        for metric in self.metrics:
            metric.add(y_true, y_pred, None, mask)
        for metric in self.weighted_metrics:
            metric.add(y_true, y_pred, weight, mask)

    def result(self) -> dict[str, float]:
        """``{"loss": ..., "mae": ...}`` so far."""
        means = [metric.result() for metric in (*self.metrics, *self.weighted_metrics)]
        loss = self._loss / self._rows if self._rows else 0.0
        return {"loss": loss, **dict(zip(self.names, means, strict=True))}


def _unique_names(metrics: Sequence[Metric], weighted: Sequence[Metric]) -> list[str]:
    """The names reported: a second "mse" is "mse_1", or "weighted_mse" among the weighted ones."""
    names: list[str] = []
    for prefix, group in (("", metrics), ("weighted_", weighted)):
        for metric in group:
            name = metric.name if metric.name not in names else prefix + metric.name
            count, unique = 1, name
            while unique in names:
                unique = f"{name}_{count}"
                count += 1
            names.append(unique)
    return names
