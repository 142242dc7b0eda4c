"""Twins of ``spec.activations``."""

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.kernels import runtime
from lstm_ref.spec.activations import ACTIVATIONS

CODES = {name: code for code, name in enumerate(ACTIVATIONS)}
"""The numbers by which the loops know the activations: their places in the specification."""


def activate(name: str, z: Array) -> Array:
    """a = act(z), elementwise."""
    a = np.array(z, order="C")
    runtime.kernel("activate", a.dtype)(code=CODES[name], p=a, count=a.size)
    return a


def activation_derivative(name: str, z: Array, a: Array) -> Array:
    """da/dz, elementwise, given the pre-activation z and the result a = act(z)."""
    d = np.ones(z.shape, z.dtype)
    runtime.kernel("scale_by_derivative", d.dtype)(
        code=CODES[name],
        d=d,
        z=np.ascontiguousarray(z),
        a=np.ascontiguousarray(a),
        count=d.size,
    )
    return d
