"""Dropout inside an LSTM: factors on what goes into the gates, the same at every time step.

A factor is 0 or 1/(1 - rate), drawn anew for each row of a batch and each feature, but not for each
time step (Gal & Ghahramani, 2016, "A theoretically grounded application of dropout in recurrent
neural networks"). There may be one array of factors for all four gates, or one for each, as Keras
has it where there is recurrent dropout.

In these functions v stands for x or h, its factors have the shape of v, or [4,...], and ``weights``
are W or U.
"""

import math

import numpy as np

from lstm_ref.conventions import Array, split_gates


def into_gates(v: Array, factors: Array | None, weights: Array) -> Array:
    """``(factors ⊙ v) weights``, [...,4H]: a term of z."""
    if factors is None:
        return v @ weights  # [EQ 23]
    if factors.ndim == v.ndim:
        return (factors * v) @ weights  # [EQ 23]
    each = zip(factors, split_gates(weights), strict=True)  # [EQ 23]
    return np.concatenate([(s * v) @ weights_n for s, weights_n in each], axis=-1)  # [EQ 23]


def out_of_gates(d_z: Array, factors: Array | None, weights: Array) -> Array:
    """The gradient on z[...,4H] becomes that on v."""
    if factors is None:
        return d_z @ weights.T  # [EQ 32]
    if factors.ndim == d_z.ndim:
        return factors * (d_z @ weights.T)  # [EQ 32]
    each = zip(factors, split_gates(d_z), split_gates(weights), strict=True)  # [EQ 32]
    return sum(s * (d_z_n @ weights_n.T) for s, d_z_n, weights_n in each)  # [EQ 32]


def weights_gradient(v: Array, factors: Array | None, d_z: Array) -> Array:
    """v[...,D] and the gradient on z[...,4H] become that on the weights[D,4H], over all rows."""
    if factors is None:
        return as_rows(v).T @ as_rows(d_z)  # [EQ 32]
    if factors.ndim == v.ndim:
        return as_rows(factors * v).T @ as_rows(d_z)  # [EQ 32]
    each = zip(factors, split_gates(d_z), strict=True)  # [EQ 32]
    return np.concatenate([as_rows(s * v).T @ as_rows(d_z_n) for s, d_z_n in each], -1)  # [EQ 32]


def as_rows(array: Array) -> Array:
    """[...,n] as a matrix of rows."""
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])
