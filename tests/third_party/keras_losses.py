"""Keras' way to call losses and metrics, for ours: masks on tensors, dtypes, and elementwise ones.

A loss or metric of one's own gives a number for each output there, and for each step here; so an
axis for a single output is added.
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.training.losses.measure import Measure
from lstm_ref.training.metrics.base import FunctionMeasure, MeanOfSteps, RunningMean

MASKED: list[tuple[Any, Any]] = []
"""Arrays, and the masks that were put on them, in the test that runs."""


def set_keras_mask(tensor: Any, mask: Any) -> None:
    MASKED.append((tensor, mask))


def get_keras_mask(tensor: Any) -> Any:
    return next((mask for masked, mask in reversed(MASKED) if masked is tensor), None)


class ByCall(Measure):
    """The error of a loss that is written as a class with ``call``."""

    name = "example_loss"

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def value(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.asarray(self.loss.call(y_true, y_pred)).mean(axis=-1)


class LossWithCall(lr.losses.Loss):
    """``keras.losses.Loss``, to be given a ``call``."""

    def __init__(self, reduction: Any = "sum_over_batch_size", dtype: Any = None) -> None:
        super().__init__(ByCall(self), reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        raise NotImplementedError

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        mask = get_keras_mask(y_pred)
        y_true, y_pred = (np.asarray(y, lr.floatx()) for y in (y_true, y_pred))
        if y_pred.ndim == 1 or y_pred.shape[-1] != 1:
            y_true, y_pred = y_true[..., None], y_pred[..., None]
        if mask is not None and np.ndim(mask) == y_pred.ndim:
            mask = np.asarray(mask)[..., 0]
        return np.asarray(super().__call__(y_true, y_pred, sample_weight, mask), lr.floatx())


class MeanMetricWrapper(MeanOfSteps):
    """``keras.metrics.MeanMetricWrapper``, of a function that gives a number for each output."""

    def __init__(self, fn: Callable[..., Any], name: str, dtype: Any = None) -> None:
        self.fn = fn
        super().__init__(FunctionMeasure(fn, name), name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": self.fn}


_init, _config = lr.metrics.Metric.__init__, lr.metrics.Metric.get_config


def init(self: lr.metrics.Metric, name: str, dtype: Any = None) -> None:
    """Keep the dtype in mind, for those who ask for it."""
    _init(self, name)
    self._dtype = self.dtype = dtype or lr.floatx()  # type: ignore[attr-defined]


def get_config(self: lr.metrics.Metric) -> dict[str, Any]:
    return {**_config(self), "dtype": self._dtype}  # type: ignore[attr-defined]


def speak_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let our metrics be given a dtype, and show two variables where they have two sums."""
    MASKED.clear()
    monkeypatch.setattr(lr.metrics.Metric, "__init__", init)
    monkeypatch.setattr(lr.metrics.Metric, "get_config", get_config)
    monkeypatch.setattr(
        RunningMean,
        "variables",
        property(lambda self: [self.total, self.count]),
        raising=False,
    )


OPS: dict[str, Any] = {
    "shape": np.shape,
    "ones": np.ones,
    "tile": np.tile,
    "expand_dims": np.expand_dims,
}
"""What the tests take from ``keras.ops``, besides what is there already."""

BACKEND = {
    "shape": np.shape,
    "set_keras_mask": set_keras_mask,
    "standardize_dtype": lambda dtype: np.dtype(dtype).name,
    "set_floatx": lr.set_floatx,
    "is_tensor": lambda _: True,
}
"""What they take from ``keras.backend``."""


def names(modules: Mapping[str, Any], used: set[str]) -> dict[str, Any]:
    """What the test modules of losses and metrics import, under Keras' names.

    Args:
        modules: the modules that have the same name in both libraries.
        used: takes the names of what is used and comes from elsewhere.
    """
    losses, metrics = modules["losses"], modules["metrics"]

    class Loss(LossWithCall):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            used.add("Loss")
            super().__init__(*args, **kwargs)

    def mean_metric_wrapper(**arguments: Any) -> MeanMetricWrapper:
        used.add("MeanMetricWrapper")
        return MeanMetricWrapper(**arguments)

    mean_metric_wrapper.from_config = MeanMetricWrapper.from_config  # type: ignore[attr-defined]
    reduction = SimpleNamespace(MeanMetricWrapper=mean_metric_wrapper)
    return {
        "keras.src.losses": losses,
        "keras.src.losses.losses": losses,
        "keras.src.losses.loss.Loss": Loss,
        "keras.src.metrics": metrics,
        "keras.src.metrics.accuracy_metrics": metrics,
        "keras.src.metrics.regression_metrics": metrics,
        "keras.src.metrics.reduction_metrics": Several(reduction, metrics),
        "keras.src.saving.register_keras_serializable": lambda **_: lambda function: function,
        "keras.src.layers.activations.softmax": modules["layers"],
        "keras.src.utils.numerical_utils": modules["utils"],
        "keras.src.dtype_policies": SimpleNamespace(
            dtype_policy=SimpleNamespace(dtype_policy=lambda: None, set_dtype_policy=lambda _: None)
        ),
    }


class Several:
    """The names of several modules in one."""

    def __init__(self, *modules: Any) -> None:
        self._modules = modules

    def __getattr__(self, name: str) -> Any:
        for module in self._modules[:-1]:
            if hasattr(module, name):
                return getattr(module, name)
        return getattr(self._modules[-1], name)
