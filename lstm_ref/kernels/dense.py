"""Twins of ``spec.dense``."""

from lstm_ref.conventions import Array
from lstm_ref.kernels.activations import activate, activation_derivative
from lstm_ref.kernels.product import pad_columns, product, sum_of_outer_products, sum_of_rows
from lstm_ref.spec.parameters import DenseCache, DenseGradients, DenseOutput


def dense_forward(
    h: Array, kernel: Array, bias: Array | None, activation: str, keep_cache: bool = False
) -> DenseOutput:
    """y[N,K] = ψ(h[N,H] W[H,K] + b[K])."""
    z = product(h, kernel, start=bias)  # [EQ 19]
    y = z if activation == "linear" else activate(activation, z)  # [EQ 19]
    if not keep_cache:
        return DenseOutput(y)
    return DenseOutput(y, DenseCache(h, kernel, bias, activation, z, y, backend="numba"))


def dense_backward(d_y: Array, cache: DenseCache) -> DenseGradients:
    """The gradient on y[N,K] becomes those on h, W and b."""
    K = d_y.shape[1]
    if cache.activation == "linear":
        d_z = d_y
    else:
        d_z = d_y * activation_derivative(cache.activation, cache.z, cache.y)  # [EQ 20]
    d_z_panels, vectors = pad_columns(d_z)
    return DenseGradients(
        d_h=product(d_z, cache.kernel.T),  # [EQ 21]
        d_kernel=sum_of_outer_products(cache.h, d_z_panels, K, vectors),  # [EQ 22]
        d_bias=None if cache.bias is None else sum_of_rows(d_z_panels, K, vectors),  # [EQ 22]
    )
