"""The dense head, at every time step: one output vector for each hidden state.

Time steps do not touch each other here, so a sequence h[B,T,H] is simply N = B·T rows.
"""

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.spec.activations import activate, activation_derivative
from lstm_ref.spec.parameters import DenseCache, DenseGradients, DenseOutput


def dense_forward(
    h: Array, kernel: Array, bias: Array | None, activation: str, keep_cache: bool = False
) -> DenseOutput:
    """y[N,K] = ψ(h[N,H] W[H,K] + b[K])."""
    z = h @ kernel  # [EQ 19]
    if bias is not None:
        z = z + bias  # [EQ 19]
    y = activate(activation, z)  # [EQ 19]
    return DenseOutput(y, DenseCache(h, kernel, bias, activation, z, y) if keep_cache else None)


def dense_backward(d_y: Array, cache: DenseCache) -> DenseGradients:
    """The gradient on y[N,K] becomes those on h, W and b."""
    d_z = d_y * activation_derivative(cache.activation, cache.z, cache.y)  # [EQ 20]
    return DenseGradients(
        d_h=d_z @ cache.kernel.T,  # [EQ 21]
        d_kernel=cache.h.T @ d_z,  # [EQ 22]
        d_bias=None if cache.bias is None else np.sum(d_z, axis=0),  # [EQ 22]
    )
