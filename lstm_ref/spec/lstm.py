"""A whole sequence: the loop over time, masks, the initial state, the direction, and back again.

A masked step is padding. It changes nothing: the state holds through it [EQ 15], the output is
held or zero there [EQ 16], and whatever x contains there, NaN included, never reaches the
arithmetic. Each row of a batch has its own mask, and a mask may have gaps anywhere.
"""

import numpy as np

from lstm_ref.conventions import Array, split_gates
from lstm_ref.spec.activations import activate
from lstm_ref.spec.cell import cell_backward, cell_forward
from lstm_ref.spec.dropout import as_rows, out_of_gates, weights_gradient
from lstm_ref.spec.parameters import (
    Dropout,
    LSTMCache,
    LSTMConfig,
    LSTMGradients,
    LSTMOutput,
    LSTMParams,
)


def lstm_forward(
    x: Array,
    params: LSTMParams,
    config: LSTMConfig,
    mask: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    keep_cache: bool = False,
    dropout: Dropout | None = None,
) -> LSTMOutput:
    """The hidden state at every time step.

    Args:
        x: [B,T,D], of the dtype of the weights.
        mask: bool [B,T], True where the step is real; None when every step is.
        h0, c0: [B,P] and [B,H], the initial state; None for zeros.
        keep_cache: also return what ``lstm_backward`` needs.
        dropout: factors on the way into the gates; None for none.
    """
    B, T, _ = x.shape
    H, P = params.units, params.outputs
    if mask is not None:
        x = np.where(mask[:, :, None], x, 0).astype(x.dtype)
    if config.go_backwards:
        x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
    h0 = np.zeros((B, P), x.dtype) if h0 is None else h0
    c0 = np.zeros((B, H), x.dtype) if c0 is None else c0

    hs = np.empty((B, T, P), x.dtype)
    zs, gates = np.zeros((B, T, 4 * H), x.dtype), np.zeros((B, T, 4 * H), x.dtype)
    h_states, c_states = np.empty((B, T, P), x.dtype), np.empty((B, T, H), x.dtype)

    h, c = h0, c0
    y = np.zeros((B, P), x.dtype)  # the output before the first step: zeros, whatever h0 is
    for t in range(T):
        h_new, c_new, z, gate = cell_forward(x[:, t], h, c, params, config, dropout)
        if mask is None:
            h, c, y = h_new, c_new, h_new
        else:
            m = mask[:, t, None]
            before = y if config.masked_output == "hold" else np.zeros_like(y)  # [EQ 16]
            y = np.where(m, h_new, before)  # [EQ 16]
            h, c = np.where(m, h_new, h), np.where(m, c_new, c)  # [EQ 15]
            z, gate = np.where(m, z, 0), np.where(m, gate, 0)
        hs[:, t] = y
        zs[:, t], gates[:, t], h_states[:, t], c_states[:, t] = z, gate, h, c

    cache = LSTMCache(params, config, x, mask, h0, c0, zs, gates, h_states, c_states, dropout)
    return LSTMOutput(hs, h.copy(), c.copy(), cache if keep_cache else None)


def lstm_backward(
    d_hs: Array | None,
    d_h: Array | None,
    d_c: Array | None,
    cache: LSTMCache,
    for_x: bool = True,
) -> LSTMGradients:
    """Backpropagation through time.

    Args:
        d_hs: [B,T,P], gradients on the outputs, in the order of ``hs``; None for zeros.
        d_h, d_c: [B,P] and [B,H], gradients on the final state; None for zeros.
        cache: of the forward pass.
        for_x: also the gradient on x.
    """
    params, config, dropout = cache.params, cache.config, cache.dropout
    x, mask = cache.x, cache.mask
    B, T, _ = x.shape
    H, P = params.units, params.outputs
    d_hs = np.zeros((B, T, P), x.dtype) if d_hs is None else d_hs
    d_h = np.zeros((B, P), x.dtype) if d_h is None else d_h
    d_c = np.zeros((B, H), x.dtype) if d_c is None else d_c

    h_prev = before_each_step(cache.h0, cache.h)
    c_prev = before_each_step(cache.c0, cache.c)
    d_z, d_h_all = np.zeros((B, T, 4 * H), x.dtype), np.zeros((B, T, P), x.dtype)
    d_y = np.zeros((B, P), x.dtype)  # what later masked steps, repeating this output, send back
    for t in reversed(range(T)):
        step = (c_prev[:, t], cache.c[:, t], cache.z[:, t], cache.gates[:, t])
        d_y = d_y + d_hs[:, t]  # [EQ 17]
        d_h_t = d_h + d_y  # [EQ 17] h_t went two ways, out and into step t+1
        d_z_t, d_h_prev, d_c_prev = cell_backward(d_h_t, d_c, *step, params, config, dropout)
        if mask is None:
            d_z[:, t], d_h_all[:, t] = d_z_t, d_h_t
            d_h, d_c, d_y = d_h_prev, d_c_prev, np.zeros_like(d_y)
        else:
            m = mask[:, t, None]
            d_z[:, t], d_h_all[:, t] = np.where(m, d_z_t, 0), np.where(m, d_h_t, 0)
            d_h, d_c = np.where(m, d_h_prev, d_h), np.where(m, d_c_prev, d_c)  # [EQ 18]
            holds = config.masked_output == "hold"  # [EQ 17]
            d_y = np.where(m | (not holds), 0, d_y).astype(x.dtype)  # [EQ 17]

    W = params.kernel
    if dropout is None:
        d_x = d_z @ W.T  # [EQ 13]
        d_W = as_rows(x).T @ as_rows(d_z)  # [EQ 14]
        d_U = as_rows(h_prev).T @ as_rows(d_z)  # [EQ 14]
    else:
        s, r = (None if v is None else v[..., None, :] for v in (dropout.x, dropout.h))  # [EQ 32]
        d_x = out_of_gates(d_z, s, W)  # [EQ 32]
        d_W = weights_gradient(x, s, d_z)  # [EQ 32]
        d_U = weights_gradient(h_prev, r, d_z)  # [EQ 32]
    d_b = None if params.bias is None else as_rows(d_z).sum(axis=0)  # [EQ 14]
    d_p = d_R = None
    if params.peephole is not None:
        d_p = peephole_gradient(d_z, c_prev, cache.c)  # [EQ 31]
    if params.projection is not None:
        _, _, _, o = split_gates(cache.gates)  # [EQ 28]
        q = o * activate(config.activation_of_output, cache.c)  # [EQ 28] as in EQ 27
        d_R = as_rows(q).T @ as_rows(d_h_all)  # [EQ 28]
    if config.go_backwards:
        d_x = d_x[:, ::-1]
    if not for_x:
        d_x = d_x[:, :0]
    return LSTMGradients(d_x, d_W, d_U, d_b, d_h, d_c, d_p, d_R)


def peephole_gradient(d_z: Array, c_prev: Array, c: Array) -> Array:
    """The gradient on p[3H], from those on z[B,T,4H] and the cell states around each step."""
    d_z_i, d_z_f, _, d_z_o = split_gates(d_z)  # [EQ 31]
    terms = d_z_i * c_prev, d_z_f * c_prev, d_z_o * c  # [EQ 31]
    return np.concatenate([term.sum(axis=(0, 1)) for term in terms])  # [EQ 31]


def before_each_step(first: Array, states: Array) -> Array:
    """The state [B,T,...] before each step: the initial one, then those after the earlier steps."""
    return np.concatenate([first[:, None], states[:, :-1]], axis=1)[:, : states.shape[1]]
