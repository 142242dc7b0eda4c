"""``keras.activations``: ``from lstm_ref.activations import relu, tanh``.

Each function computes its activation of every number of an array, and may be given to a layer in
place of its name: ``LSTM(4, activation=relu)``. An array of float32 or float64 keeps its dtype;
anything else becomes `floatx`. What the functions do, and their derivatives, is written down in
`lstm_ref.spec.activations`. Of those that mix the units there are softmax and log_softmax, over the
last axis; only `Dense` and `Activation` take them. Keras' glu and sparsemax are refused by name.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np

from lstm_ref.checks import real_array
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers.across_units import activated
from lstm_ref.layers.base import refuse
from lstm_ref.layers.session import floatx
from lstm_ref.spec.activations import (
    ALIASES,
    IDENTIFIER,
    NOT_ELEMENTWISE,
    ActivationId,
    activation_id,
)

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

Function = TypeVar("Function", bound=Callable[..., Array])

FUNCTIONS: dict[str, Callable[..., Array]] = {}
"""The functions below by their names."""


def _named(function: Function) -> Function:
    """Let layers and `get` know a function by its name."""
    name = function.__name__
    setattr(function, IDENTIFIER, name)
    FUNCTIONS[name] = function
    return function


def _activated(identifier: Any, x: Any) -> Array:
    """act(x), a new array."""
    keeps = isinstance(x, np.ndarray | np.floating) and x.dtype.kind == "f" and x.itemsize >= 4
    array = real_array(x, "x", None if keeps else np.dtype(floatx()))
    return np.asarray(activated(activation_id(identifier, across_units=True), array))


# Piecewise linear


@_named
def linear(x: Any) -> Array:
    """x itself."""
    return _activated("linear", x)


@_named
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    """``max(x, 0)``. Other values of Keras' three parameters are refused.

    Raises:
        UnsupportedError: one of them is given.
    """
    for name, value, usual in (
        ("negative_slope", negative_slope, 0),
        ("max_value", max_value, None),
        ("threshold", threshold, 0),
    ):
        if value != usual:
            raise UnsupportedError(
                f"relu({name}={value!r}) is not supported: leaky_relu has a negative_slope, relu6 "
                "has the max_value 6, and threshold(x, 1.0, 0.0) is 0 up to the threshold 1.0"
            )
    return _activated("relu", x)


@_named
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Array:
    """x where it is above 0, and ``negative_slope·x`` elsewhere."""
    return _activated(("leaky_relu", negative_slope), x)


@_named
def relu6(x: Any) -> Array:
    """``min(max(x, 0), 6)``."""
    return _activated("relu6", x)


@_named
def hard_tanh(x: Any) -> Array:
    """x kept within -1 and 1."""
    return _activated("hard_tanh", x)


@_named
def hard_sigmoid(x: Any) -> Array:
    """``relu6(x + 3) / 6``."""
    return _activated("hard_sigmoid", x)


@_named
def sparse_sigmoid(x: Any) -> Array:
    """``(x + 1) / 2`` kept within 0 and 1."""
    return _activated("sparse_sigmoid", x)


@_named
def soft_shrink(x: Any, threshold: float = 0.5) -> Array:
    """x brought nearer to 0 by the threshold, and 0 within it."""
    return _activated(("soft_shrink", threshold), x)


@_named
def hard_shrink(x: Any, threshold: float = 0.5) -> Array:
    """x where ``|x|`` is above the threshold, and 0 elsewhere."""
    return _activated(("hard_shrink", threshold), x)


@_named
def threshold(x: Any, threshold: float, default_value: float) -> Array:
    """x where it is above the threshold, and `default_value` elsewhere.

    Having no usual parameters, it is given to a layer with them: ``("threshold", 1.0, 0.0)``.
    """
    return _activated(("threshold", threshold, default_value), x)


# Piecewise quadratic


@_named
def hard_silu(x: Any) -> Array:
    """``x·hard_sigmoid(x)``, also called hard_swish."""
    return _activated("hard_silu", x)


@_named
def sparse_plus(x: Any) -> Array:
    """0 below -1, ``(x + 1)² / 4``, and x from 1 on."""
    return _activated("sparse_plus", x)


# Smooth


@_named
def tanh(x: Any) -> Array:
    """``(e^x - e^-x) / (e^x + e^-x)``."""
    return _activated("tanh", x)


@_named
def sigmoid(x: Any) -> Array:
    """``1 / (1 + e^-x)``."""
    return _activated("sigmoid", x)


@_named
def log_sigmoid(x: Any) -> Array:
    """``ln(sigmoid(x))``."""
    return _activated("log_sigmoid", x)


@_named
def tanh_shrink(x: Any) -> Array:
    """``x - tanh(x)``."""
    return _activated("tanh_shrink", x)


@_named
def softsign(x: Any) -> Array:
    """``x / (1 + |x|)``."""
    return _activated("softsign", x)


@_named
def softplus(x: Any) -> Array:
    """``ln(1 + e^x)``."""
    return _activated("softplus", x)


@_named
def squareplus(x: Any, b: float = 4) -> Array:
    """``(x + √(x² + b)) / 2``, b being above 0."""
    return _activated(("squareplus", b), x)


@_named
def exponential(x: Any) -> Array:
    """``e^x``."""
    return _activated("exponential", x)


@_named
def elu(x: Any, alpha: float = 1.0) -> Array:
    """x where it is above 0, and ``alpha·(e^x - 1)`` elsewhere."""
    return _activated(("elu", alpha), x)


@_named
def celu(x: Any, alpha: float = 1.0) -> Array:
    """x where it is above 0, and ``alpha·(e^(x/alpha) - 1)`` elsewhere, alpha being above 0."""
    return _activated(("celu", alpha), x)


@_named
def selu(x: Any) -> Array:
    """`elu` with the scale and the alpha of self-normalizing networks."""
    return _activated("selu", x)


@_named
def silu(x: Any) -> Array:
    """``x·sigmoid(x)``, also called swish."""
    return _activated("silu", x)


@_named
def mish(x: Any) -> Array:
    """``x·tanh(softplus(x))``."""
    return _activated("mish", x)


@_named
def gelu(x: Any, approximate: bool = False) -> Array:
    """``x·Φ(x)``, Φ being the standard normal distribution function.

    Raises:
        UnsupportedError: ``approximate=True``, the form with tanh.
    """
    refuse("gelu", {"approximate": approximate}, "the exact gelu is there")
    return _activated("gelu", x)


# Over the last axis


@_named
def softmax(x: Any, axis: int = -1) -> Array:
    """``e^x / Σ e^x``: numbers that sum to 1.

    Raises:
        UnsupportedError: another axis than the last.
        ShapeError: one number alone.
    """
    _check_axis("softmax", x, axis)
    return _activated("softmax", x)


@_named
def log_softmax(x: Any, axis: int = -1) -> Array:
    """The logarithm of `softmax`.

    Raises:
        UnsupportedError: another axis than the last.
        ShapeError: one number alone.
    """
    _check_axis("log_softmax", x, axis)
    return _activated("log_softmax", x)


def _check_axis(name: str, x: Any, axis: Any) -> None:
    axes = np.ndim(x)
    if not axes:
        raise ShapeError(f"{name} of one number: it goes along an axis, which is needed")
    if isinstance(axis, bool) or axis not in (-1, axes - 1):
        raise UnsupportedError(
            f"{name}(axis={axis!r}) is not supported: it goes along the last axis, -1; move "
            "another there with np.moveaxis"
        )


swish = silu
hard_swish = hard_silu


def get(identifier: Any) -> Callable[..., Array]:
    """The function meant by a name, by a name and its parameters, or by a function itself.

    Args:
        identifier: ``"tanh"``, ``("leaky_relu", 0.01)``, None for linear, a function of this
            module or of `get`, or what Keras' ``serialize_keras_object`` makes of one.

    Raises:
        ValueError, UnsupportedError: as ``lstm_ref.spec.activations.activation_id``.
    """
    if isinstance(identifier, dict) and identifier.get("class_name") == "function":
        identifier = identifier.get("config")
    if hasattr(identifier, IDENTIFIER):
        return identifier  # type: ignore[no-any-return]
    name = ALIASES.get(identifier, identifier) if isinstance(identifier, str) else None
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    known = activation_id(identifier, across_units=True)
    if known in FUNCTIONS:  # None, or a name with its usual parameters
        return FUNCTIONS[str(known)]
    function = partial(_activated, known)
    setattr(function, IDENTIFIER, known)
    return function


def serialize(function: Any) -> ActivationId:
    """What `get` and layers read back: the name, with its parameters if they are unusual.

    Raises:
        ValueError, UnsupportedError: as `get`.
    """
    identifier: ActivationId = getattr(get(function), IDENTIFIER)
    return identifier


def deserialize(config: Any, custom_objects: Any = None) -> Callable[..., Array]:
    """The reverse of `serialize`.

    Raises:
        ValueError: as `get`.
        UnsupportedError: as `get`, and for `custom_objects`.
    """
    refuse("deserialize", {"custom_objects": custom_objects})
    return get(config)


def __getattr__(name: str) -> Any:
    """Name an activation of Keras that is not there, instead of a failed import.

    Raises:
        UnsupportedError: the activation is Keras'.
        AttributeError: nobody has such an activation.
    """
    if name in NOT_ELEMENTWISE:
        activation_id(name)  # raises
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
