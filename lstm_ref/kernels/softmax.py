"""Twins of ``spec.softmax``: the same lines on rows laid side by side, with the kernels' own e^z.

The rows z[...,K] stand as columns [K,N], where NumPy takes maxima and sums over K at the speed of
memory. The sums then go from the first number of a row to the last, whatever N is, and e^z is the
same on every processor, so the bits of a row depend on nothing but the row.
"""

import math

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.kernels.activations import activate
from lstm_ref.spec.softmax import largest


def softmax(z: Array) -> Array:
    """a[...,K] = e^z / Σ e^z."""
    columns = as_columns(z)
    e = activate("exponential", columns - largest(columns, axis=0))  # [EQ 33]
    return as_rows(e / np.sum(e, axis=0), z.shape)  # [EQ 33]


def softmax_backward(d_a: Array, a: Array) -> Array:
    """The gradient on a[...,K] becomes that on z, given the result a."""
    d_z: Array = a * (d_a - row_sums(d_a * a))  # [EQ 34]
    return d_z


def log_softmax(z: Array) -> Array:
    """a[...,K] = z - ln Σ e^z: the logarithm of softmax, also where that rounds to 0."""
    columns = as_columns(z)
    columns = columns - largest(columns, axis=0)  # [EQ 35]
    e = activate("exponential", columns)  # [EQ 35]
    return as_rows(columns - np.log(np.sum(e, axis=0)), z.shape)  # [EQ 35]


def log_softmax_backward(d_a: Array, a: Array) -> Array:
    """The gradient on a[...,K] becomes that on z, given the result a."""
    d_z: Array = d_a - activate("exponential", a) * row_sums(d_a)  # [EQ 36]
    return d_z


def as_columns(array: Array) -> Array:
    """[...,K] as [K,N]; a single row stands there twice, for NumPy adds up a vector in pairs."""
    columns = array.reshape(math.prod(array.shape[:-1]), array.shape[-1]).T
    return np.ascontiguousarray(np.repeat(columns, 2, axis=1) if columns.shape[1] == 1 else columns)


def as_rows(columns: Array, shape: tuple[int, ...]) -> Array:
    """The reverse of `as_columns`."""
    return np.ascontiguousarray(columns[:, : math.prod(shape[:-1])].T).reshape(shape)


def row_sums(array: Array) -> Array:
    """Σ over K, [...,1]."""
    steps = array.shape[:-1]
    return np.asarray(np.sum(as_columns(array), axis=0)[: math.prod(steps)].reshape(*steps, 1))
