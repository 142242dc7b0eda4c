"""Softmax: numbers become probabilities that sum to 1, over the last axis; and its logarithm.

Unlike the functions of `activations` it mixes the outputs of a time step, so its derivative is a
matrix, and it cannot be a gate. The rows z[...,K] do not touch each other. The largest number of a
row is subtracted first, which changes nothing but keeps e^z from overflowing (Goodfellow, Bengio &
Courville, 2016, Deep Learning, section 4.1).

NaN anywhere in a row, or +inf, or nothing but -inf, makes NaN of the whole row, as in Keras.
"""

import numpy as np

from lstm_ref.conventions import Array

ACROSS_UNITS = ("softmax", "log_softmax")
"""The activations of this file, by name."""


def softmax(z: Array) -> Array:
    """a[...,K] = e^z / Σ e^z."""
    e = np.exp(z - largest(z))  # [EQ 33]
    a: Array = e / np.sum(e, axis=-1, keepdims=True)  # [EQ 33]
    return a


def softmax_backward(d_a: Array, a: Array) -> Array:
    """The gradient on a[...,K] becomes that on z, given the result a."""
    d_z: Array = a * (d_a - np.sum(d_a * a, axis=-1, keepdims=True))  # [EQ 34]
    return d_z


def log_softmax(z: Array) -> Array:
    """a[...,K] = z - ln Σ e^z: the logarithm of softmax, also where that rounds to 0."""
    z = z - largest(z)  # [EQ 35]
    a: Array = z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))  # [EQ 35]
    return a


def log_softmax_backward(d_a: Array, a: Array) -> Array:
    """The gradient on a[...,K] becomes that on z, given the result a."""
    d_z: Array = d_a - np.exp(a) * np.sum(d_a, axis=-1, keepdims=True)  # [EQ 36]
    return d_z


def largest(z: Array, axis: int = -1) -> Array:
    """The largest number of each row, [...,1], or along another axis."""
    return np.asarray(np.max(z, axis=axis, keepdims=True, initial=-np.inf))
