"""Keras beside lstm_ref: the same program for both, the same weights in both.

A test writes a model once, as a function of a `Library`, and gets both models back with the same
weights. `library_dtype` sets the float type of both, and restores it.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

import lstm_ref
import lstm_ref.config
import lstm_ref.layers
import lstm_ref.losses
import lstm_ref.metrics
import lstm_ref.models
import lstm_ref.optimizers
from tests.peers import require


@dataclass(frozen=True)
class Library:
    """One of the two, by the names that both have."""

    layers: ModuleType
    models: ModuleType
    losses: ModuleType
    metrics: ModuleType
    optimizers: ModuleType
    is_keras: bool


OURS = Library(
    *(lstm_ref.layers, lstm_ref.models, lstm_ref.losses),
    *(lstm_ref.metrics, lstm_ref.optimizers),
    is_keras=False,
)


def keras_library() -> Library:
    keras = require("keras")
    return Library(
        *(keras.layers, keras.models, keras.losses, keras.metrics, keras.optimizers),
        is_keras=True,
    )


@contextmanager
def library_dtype(dtype: str) -> Iterator[None]:
    """Both libraries compute in this dtype: Keras has two settings for it, and needs both."""
    keras = require("keras")
    before = keras.config.floatx(), keras.config.dtype_policy(), lstm_ref.config.floatx()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    lstm_ref.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
        lstm_ref.config.set_floatx(before[2])


def random_weights(shapes: list[tuple[int, ...]], rng: np.random.Generator) -> list[np.ndarray]:
    """Weights that differ everywhere and keep an LSTM contractive."""
    return [rng.normal(scale=0.6 / np.sqrt(max(s[0], 2)), size=s) for s in shapes]


def twin_models(
    build: Callable[[Library], Any], rng: np.random.Generator, input_shape: tuple[int | None, ...]
) -> tuple[Any, Any]:
    """(Keras' model, ours) as `build` makes them, built, with the same random weights."""
    with warnings.catch_warnings():
        # Keras advises against input_shape on a layer; that both take it is part of the tests.
        warnings.filterwarnings("ignore", "Do not pass an `input_shape`", UserWarning)
        theirs, ours = build(keras_library()), build(OURS)
    for model in (theirs, ours):
        if not model.built:
            model.build(input_shape)
    weights = random_weights([w.shape for w in ours.get_weights()], rng)
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


def assert_close(
    got: Any, expected: Any, *, ulps: float, scale: float | None = None, what: str = ""
) -> None:
    """|got - expected| ≤ ulps · eps · scale everywhere; the scale is that of the largest value.

    The error of a sum is relative to its largest terms, not to its own value, so one scale for a
    whole array is what can be promised.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: {got.shape} != {expected.shape}"
    assert got.dtype == expected.dtype, f"{what}: {got.dtype} != {expected.dtype}"
    if not got.size:
        return
    if scale is None:
        scale = max(float(np.max(np.abs(expected))), 1.0)
    worst = float(np.max(np.abs(got - expected)))
    bound = ulps * float(np.finfo(got.dtype).eps) * scale
    assert worst <= bound, f"{what}: differs by {worst:.3g}, allowed {bound:.3g}"
