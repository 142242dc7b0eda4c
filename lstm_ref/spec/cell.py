"""One time step of the LSTM, forward and backward, equation by equation.

The cell is that of Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber &
Cummins (2000), as Keras computes it. The symbols and the numbers ``[EQ n]`` are those of
``lstm_ref.conventions``. Shapes: x_t[B,D], h[B,H], c[B,H], z and gates [B,4H].
"""

import numpy as np

from lstm_ref.conventions import Array, split_gates
from lstm_ref.spec.activations import activate, activation_derivative
from lstm_ref.spec.parameters import LSTMConfig, LSTMParams


def cell_forward(
    x_t: Array, h_prev: Array, c_prev: Array, params: LSTMParams, config: LSTMConfig
) -> tuple[Array, Array, Array, Array]:
    """One step: (x_t, h_{t-1}, c_{t-1}) → (h_t, c_t).

    Returns:
        h_t[B,H], c_t[B,H], and for the backward pass z[B,4H] and gates[B,4H] (i, f, g, o).
    """
    W, U, b = params.kernel, params.recurrent_kernel, params.bias
    σ, φ = config.recurrent_activation, config.activation

    z = x_t @ W + h_prev @ U  # [EQ 1]
    if b is not None:
        z = z + b  # [EQ 1]
    z_i, z_f, z_g, z_o = split_gates(z)

    i = activate(σ, z_i)  # [EQ 2]
    f = activate(σ, z_f)  # [EQ 2]
    g = activate(φ, z_g)  # [EQ 3]
    c = f * c_prev + i * g  # [EQ 4]
    o = activate(σ, z_o)  # [EQ 5]
    h = o * activate(φ, c)  # [EQ 6]

    return h, c, z, np.concatenate([i, f, g, o], axis=-1)


def cell_backward(
    d_h: Array,
    d_c: Array,
    c_prev: Array,
    c: Array,
    z: Array,
    gates: Array,
    params: LSTMParams,
    config: LSTMConfig,
) -> tuple[Array, Array, Array]:
    """One step back: the gradients on h_t and c_t become those on z, h_{t-1} and c_{t-1}.

    Args:
        d_h, d_c: [B,H], gradients on h_t and on c_t (the latter from step t+1).
        c_prev, c: [B,H], c_{t-1} and c_t.
        z, gates: [B,4H], as ``cell_forward`` returned them.

    Returns:
        d_z[B,4H], d_h_prev[B,H], d_c_prev[B,H]. The gradients on x and on the weights follow from
        d_z alone [EQ 13, 14]; they are taken for all steps at once in ``spec.lstm``.
    """
    σ, φ = config.recurrent_activation, config.activation
    z_i, z_f, z_g, z_o = split_gates(z)
    i, f, g, o = split_gates(gates)
    a = activate(φ, c)

    d_o = d_h * a  # [EQ 7]
    d_c = d_c + d_h * o * activation_derivative(φ, c, a)  # [EQ 8]
    d_i = d_c * g  # [EQ 9]
    d_f = d_c * c_prev  # [EQ 9]
    d_g = d_c * i  # [EQ 9]

    d_z = np.concatenate(  # [EQ 10]
        [
            d_i * activation_derivative(σ, z_i, i),
            d_f * activation_derivative(σ, z_f, f),
            d_g * activation_derivative(φ, z_g, g),
            d_o * activation_derivative(σ, z_o, o),
        ],
        axis=-1,
    )
    d_c_prev = d_c * f  # [EQ 11]
    d_h_prev = d_z @ params.recurrent_kernel.T  # [EQ 12]
    return d_z, d_h_prev, d_c_prev
