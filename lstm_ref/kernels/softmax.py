"""Twins of ``spec.softmax``: the same lines, with the kernels' own exponential.

NumPy's differs in its last bit between processors, and ours does not. Sums along a row of K numbers
do not depend on how many rows there are.
"""

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.kernels.activations import activate
from lstm_ref.spec.softmax import largest


def softmax(z: Array) -> Array:
    """a[...,K] = e^z / Σ e^z."""
    e = activate("exponential", z - largest(z))  # [EQ 33]
    a: Array = e / np.sum(e, axis=-1, keepdims=True)  # [EQ 33]
    return a


def softmax_backward(d_a: Array, a: Array) -> Array:
    """The gradient on a[...,K] becomes that on z, given the result a."""
    d_z: Array = a * (d_a - np.sum(d_a * a, axis=-1, keepdims=True))  # [EQ 34]
    return d_z


def log_softmax(z: Array) -> Array:
    """a[...,K] = z - ln Σ e^z: the logarithm of softmax, also where that rounds to 0."""
    z = z - largest(z)  # [EQ 35]
    e = activate("exponential", z)  # [EQ 35]
    a: Array = z - np.log(np.sum(e, axis=-1, keepdims=True))  # [EQ 35]
    return a


def log_softmax_backward(d_a: Array, a: Array) -> Array:
    """The gradient on a[...,K] becomes that on z, given the result a."""
    total = np.sum(d_a, axis=-1, keepdims=True)  # [EQ 36]
    d_z: Array = d_a - activate("exponential", a) * total  # [EQ 36]
    return d_z
