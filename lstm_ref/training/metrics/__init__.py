"""What training reports besides the loss: Keras' metrics on sequences, with masks and weights.

Read in this order: `base` (what a metric is), `errors`, `accuracy`, `r2_score`, `report` (an
epoch's).
"""

import inspect
from typing import Any

from lstm_ref.errors import UnsupportedError
from lstm_ref.layers.session import snake_case
from lstm_ref.training import losses
from lstm_ref.training.metrics.accuracy import (
    Accuracy,
    AccuracyByShape,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from lstm_ref.training.metrics.base import FunctionMeasure, Mean, MeanOfSteps, Metric
from lstm_ref.training.metrics.errors import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
)
from lstm_ref.training.metrics.r2_score import R2Score
from lstm_ref.training.metrics.report import Report

__all__ = [
    "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy",
    "CategoricalCrossentropy", "LogCoshError", "Mean", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Metric",
    "R2Score", "Report", "RootMeanSquaredError", "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy", "TopKCategoricalAccuracy",
    "binary_accuracy", "categorical_accuracy", "deserialize", "get", "get_all", "serialize",
    "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]  # fmt: skip

METRICS: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        *(MeanSquaredError, RootMeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError),
        *(MeanSquaredLogarithmicError, LogCoshError, R2Score, Mean),
        *(BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy),
        *(Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy),
        *(TopKCategoricalAccuracy, SparseTopKCategoricalAccuracy),
    )
}
"""The metrics by the names of their classes."""

BY_NAME = {snake_case(name): cls for name, cls in METRICS.items()}
"""By the names that words take in ``compile``: "mean_squared_error"."""

FUNCTIONS = {
    binary_accuracy: BinaryAccuracy,
    categorical_accuracy: CategoricalAccuracy,
    sparse_categorical_accuracy: SparseCategoricalAccuracy,
    top_k_categorical_accuracy: TopKCategoricalAccuracy,
    sparse_top_k_categorical_accuracy: SparseTopKCategoricalAccuracy,
}
"""The functions, and the metric that each is one step of."""


def get(identifier: Any) -> Metric:
    """The metric meant by a name, a function, a class, an object or a config.

    Args:
        identifier: what Keras takes: "mse", "r2_score", "SparseCategoricalAccuracy", a function or
            a class of `lstm_ref.metrics` or `lstm_ref.losses`, a `Metric`, or ``{"class_name",
            "config"}``. And a function of one's own: it is given the steps that count as rows,
            y_true[n,K] and y_pred[n,K] (labels[n], where the loss reads labels), and gives a number
            for each, of which the mean is reported.

    A metric asked for by name reports under that very name: "mse" as "mse".

    Raises:
        UnsupportedError: for anything else, naming it.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, losses.Loss) or _is_class(identifier, losses.Loss):
        raise UnsupportedError(
            f"the metric {identifier!r} is a loss: give the metric of that name, from "
            "lstm_ref.metrics, or the function of lstm_ref.losses"
        )
    if _is_class(identifier, Metric):
        made: Metric = identifier()
        return made
    if isinstance(identifier, str):
        whole = losses.ALIASES.get(identifier, identifier)
        if cls := METRICS.get(identifier) or BY_NAME.get(whole):
            return _renamed(cls(), identifier)
    elif callable(identifier):
        return _of_function(identifier)
    advice = ""
    if isinstance(identifier, str) and identifier in losses.__all__:
        advice = f"; the function of that name is: metrics=[lr.losses.{identifier}]"
    raise UnsupportedError(
        f"the metric {identifier!r} is not supported: there are 'accuracy', "
        f"{', '.join(map(repr, BY_NAME))}{advice}"
    )


def _is_class(identifier: Any, kind: type) -> bool:
    return isinstance(identifier, type) and issubclass(identifier, kind)


def _renamed(metric: Metric, name: str) -> Metric:
    metric.name = name
    return metric


def _of_function(function: Any) -> Metric:
    """A metric that reports under the name of the function, in snake case, as Keras has it."""
    name = snake_case(str(getattr(function, "__name__", type(function).__name__))).strip("<>")
    if inspect.isroutine(function) and function in FUNCTIONS:
        return _renamed(FUNCTIONS[function](), name)
    measure = losses.measure_of(function) or FunctionMeasure(function, name)
    return MeanOfSteps(measure, name)


def get_all(identifiers: Any, argument: str) -> list[Metric]:
    """The metrics of a list, as ``compile`` takes it, where "accuracy" depends on the shapes.

    Raises:
        UnsupportedError: not a list, or a metric that a training cannot report.
    """
    if not identifiers:
        return []
    if not isinstance(identifiers, list | tuple):
        raise UnsupportedError(
            f"{argument}={identifiers!r}: a list is needed, for example {argument}=['mae']"
        )
    return [_reported(identifier, argument) for identifier in identifiers]


def _reported(identifier: Any, argument: str) -> Metric:
    if isinstance(identifier, str) and identifier.lower() in AccuracyByShape.NAMES:
        return AccuracyByShape(identifier)
    metric = get(identifier)
    if isinstance(metric, Mean):
        raise UnsupportedError(
            f"{argument} has {identifier!r}, which compares nothing with the target: it is for "
            "calls of its own"
        )
    if isinstance(metric, R2Score) and metric.class_aggregation is None:
        raise UnsupportedError(
            f"{argument} has an R2Score(class_aggregation=None), which is a number for each "
            "output, and one is reported: use 'uniform_average'"
        )
    return metric


def serialize(metric: Metric) -> dict[str, Any] | str:
    """What `get_all` reads back, JSON-able.

    Raises:
        UnsupportedError: a metric of one's own, which a file cannot hold.
    """
    if isinstance(metric, AccuracyByShape):
        return metric.name
    kind = type(metric).__name__
    if type(metric) is MeanOfSteps or kind not in METRICS:
        raise UnsupportedError(
            f"the metric {metric.name!r} is a function or a class of your own, which a file cannot "
            "hold: compile the model anew after loading it"
        )
    return {"class_name": kind, "config": metric.get_config()}


def deserialize(config: Any) -> Metric:
    """The metric of one ``{"class_name", "config"}``, or of a name.

    Raises:
        UnsupportedError: a metric that is not there, or a config that does not belong to it.
    """
    if not isinstance(config, dict):
        return get(config)
    name = config.get("class_name")
    if name not in METRICS:
        there = ", ".join(METRICS)
        raise UnsupportedError(f"the metric {name!r} is not supported: there are {there}")
    try:
        metric: Metric = METRICS[name](**config.get("config", {}))
    except TypeError as error:
        raise UnsupportedError(f"a {name} cannot have {config.get('config')}: {error}") from error
    return metric
