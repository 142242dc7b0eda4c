"""Twins of ``spec.activations``."""

from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.kernels import runtime
from lstm_ref.spec.activations import ACTIVATIONS, ActivationId, formula

CODES = {name: code for code, name in enumerate(ACTIVATIONS)}
"""The numbers by which the loops know the activations: their places in the specification."""


FROM_RESULT_ALONE = ("tanh", "sigmoid", "relu", "exponential")
"""Activations whose derivative the loops read off the result, without z."""


def code(activation: ActivationId) -> int:
    """The number of an activation."""
    return CODES[activation if isinstance(activation, str) else str(activation[0])]


def parameters(activation: ActivationId, dtype: np.dtype[Any]) -> Array:
    """α and β of an activation; 0 where it has none."""
    both = np.zeros(2, dtype)
    given = formula(activation)[1]
    both[: len(given)] = given
    return both


def activate(activation: ActivationId, z: Array) -> Array:
    """a = act(z), elementwise."""
    a = np.array(z, order="C")
    runtime.kernel("activate", a.dtype)(
        code=code(activation), parameters=parameters(activation, a.dtype), p=a, count=a.size
    )
    return a


def activation_derivative(activation: ActivationId, z: Array, a: Array) -> Array:
    """da/dz, elementwise, given the pre-activation z and the result a = act(z)."""
    d = np.ones(z.shape, z.dtype)
    runtime.kernel("scale_by_derivative", d.dtype)(
        code=code(activation),
        parameters=parameters(activation, d.dtype),
        d=d,
        z=np.ascontiguousarray(z),
        a=np.ascontiguousarray(a),
        count=d.size,
    )
    return d
