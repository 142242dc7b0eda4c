"""One time step of the LSTM, forward and backward, equation by equation.

The cell is that of Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber &
Cummins (2000), as Keras computes it. What some LSTMs do besides stands where it happens, each in
an ``if`` of its own, and a plain LSTM passes all of them by: peepholes (Gers & Schmidhuber, 2000),
clipping and coupled gates (the ONNX operator), a projected hidden state (Sak, Senior & Beaufays,
2014), dropout (Gal & Ghahramani, 2016). The symbols and the numbers ``[EQ n]`` are those of
``lstm_ref.conventions``. Shapes: x_t[B,D], h[B,P], c[B,H], z and gates [B,4H]; P is H unless the
hidden state is projected.
"""

import numpy as np

from lstm_ref.conventions import Array, split_gates, split_peepholes
from lstm_ref.spec.activations import ActivationId, activate, activation_derivative
from lstm_ref.spec.dropout import into_gates, out_of_gates
from lstm_ref.spec.parameters import Dropout, LSTMConfig, LSTMParams


def cell_forward(
    x_t: Array,
    h_prev: Array,
    c_prev: Array,
    params: LSTMParams,
    config: LSTMConfig,
    dropout: Dropout | None = None,
) -> tuple[Array, Array, Array, Array]:
    """One step: (x_t, h_{t-1}, c_{t-1}) → (h_t, c_t).

    Returns:
        h_t[B,P], c_t[B,H], and for the backward pass z[B,4H], as it goes into the activations,
        and gates[B,4H] (i, f, g, o).
    """
    W, U, b = params.kernel, params.recurrent_kernel, params.bias
    σ, φ, φ_h = config.recurrent_activation, config.activation, config.activation_of_output

    if dropout is None:
        z = x_t @ W + h_prev @ U  # [EQ 1]
    else:
        z = into_gates(x_t, dropout.x, W) + into_gates(h_prev, dropout.h, U)  # [EQ 23]
    if b is not None:
        z = z + b  # [EQ 1, 23]
    z_i, z_f, z_g, z_o = split_gates(z)

    if params.peephole is not None:
        p_i, p_f, p_o = split_peepholes(params.peephole)  # [EQ 24]
        z_i, z_f = z_i + p_i * c_prev, z_f + p_f * c_prev  # [EQ 24]
    if config.clip is not None:
        κ = config.clip  # [EQ 25]
        z_i, z_f, z_g = (np.clip(z_n, -κ, κ) for z_n in (z_i, z_f, z_g))  # [EQ 25]
    i = activate(σ, z_i)  # [EQ 2]
    f = activate(σ, z_f)  # [EQ 2]
    if config.input_forget:
        f = 1 - i  # [EQ 26]
    g = activate(φ, z_g)  # [EQ 3]
    c = f * c_prev + i * g  # [EQ 4]

    if params.peephole is not None:
        z_o = z_o + p_o * c  # [EQ 24]
    if config.clip is not None:
        z_o = np.clip(z_o, -κ, κ)  # [EQ 25]
    o = activate(σ, z_o)  # [EQ 5]
    h = o * activate(φ_h, c)  # [EQ 6, 27]
    if params.projection is not None:
        h = h @ params.projection  # [EQ 27]

    z, gates = np.concatenate([z_i, z_f, z_g, z_o], -1), np.concatenate([i, f, g, o], -1)
    return h, c, z, gates


def cell_backward(
    d_h: Array,
    d_c: Array,
    c_prev: Array,
    c: Array,
    z: Array,
    gates: Array,
    params: LSTMParams,
    config: LSTMConfig,
    dropout: Dropout | None = None,
) -> tuple[Array, Array, Array]:
    """One step back: the gradients on h_t and c_t become those on z, h_{t-1} and c_{t-1}.

    Args:
        d_h, d_c: [B,P] and [B,H], gradients on h_t and on c_t (the latter from step t+1).
        c_prev, c: [B,H], c_{t-1} and c_t.
        z, gates: [B,4H], as ``cell_forward`` returned them.

    Returns:
        d_z[B,4H], d_h_prev[B,P], d_c_prev[B,H]. The gradients on x and on the weights follow from
        d_z and d_h alone [EQ 13, 14]; they are taken for all steps at once in ``spec.lstm``.
    """
    σ, φ, φ_h = config.recurrent_activation, config.activation, config.activation_of_output
    z_i, z_f, z_g, z_o = split_gates(z)
    i, f, g, o = split_gates(gates)
    a = activate(φ_h, c)

    if params.projection is not None:
        d_h = d_h @ params.projection.T  # [EQ 28]
    d_o = d_h * a  # [EQ 7]
    d_z_o = through_gate(d_o, σ, z_o, o, config)  # [EQ 10]
    if params.peephole is not None:
        p_i, p_f, p_o = split_peepholes(params.peephole)  # [EQ 31]
        d_c = d_c + d_z_o * p_o  # [EQ 31]
    d_c = d_c + d_h * o * activation_derivative(φ_h, c, a)  # [EQ 8]
    d_i = d_c * g  # [EQ 9]
    d_f = d_c * c_prev  # [EQ 9]
    d_g = d_c * i  # [EQ 9]
    if config.input_forget:
        d_i = d_i - d_f  # [EQ 29]

    d_z_i = through_gate(d_i, σ, z_i, i, config)  # [EQ 10]
    d_z_f = through_gate(d_f, σ, z_f, f, config)  # [EQ 10]
    if config.input_forget:
        d_z_f = np.zeros_like(d_f)  # [EQ 29]
    d_z_g = through_gate(d_g, φ, z_g, g, config)  # [EQ 10]
    d_z = np.concatenate([d_z_i, d_z_f, d_z_g, d_z_o], axis=-1)  # [EQ 10]

    d_c_prev = d_c * f  # [EQ 11]
    if params.peephole is not None:
        d_c_prev = d_c_prev + d_z_i * p_i + d_z_f * p_f  # [EQ 31]
    if dropout is None:
        d_h_prev = d_z @ params.recurrent_kernel.T  # [EQ 12]
    else:
        d_h_prev = out_of_gates(d_z, dropout.h, params.recurrent_kernel)  # [EQ 32]
    return d_z, d_h_prev, d_c_prev


def through_gate(d_a: Array, act: ActivationId, z: Array, a: Array, config: LSTMConfig) -> Array:
    """From the gradient on a gate ``a = act(z)`` to that on the sum that went into it."""
    d_z = d_a * activation_derivative(act, z, a)  # [EQ 10]
    if config.clip is not None:
        d_z = np.where(np.abs(z) < config.clip, d_z, 0).astype(z.dtype)  # [EQ 30]
    return d_z
