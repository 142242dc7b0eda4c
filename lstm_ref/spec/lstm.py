"""A whole sequence: the loop over time, masks, the initial state, the direction, and back again.

A masked step is padding. It changes nothing: the state holds through it [EQ 15], the output is
held or zero there [EQ 16], and whatever x contains there, NaN included, never reaches the
arithmetic. Each row of a batch has its own mask, and a mask may have gaps anywhere.
"""

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.spec.cell import cell_backward, cell_forward
from lstm_ref.spec.parameters import LSTMCache, LSTMConfig, LSTMGradients, LSTMOutput, LSTMParams


def lstm_forward(
    x: Array,
    params: LSTMParams,
    config: LSTMConfig,
    mask: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    keep_cache: bool = False,
) -> LSTMOutput:
    """The hidden state at every time step.

    Args:
        x: [B,T,D], of the dtype of the weights.
        mask: bool [B,T], True where the step is real; None when every step is.
        h0, c0: [B,H], the initial state; None for zeros.
        keep_cache: also return what ``lstm_backward`` needs.
    """
    B, T, _ = x.shape
    H = params.units
    if mask is not None:
        x = np.where(mask[:, :, None], x, 0).astype(x.dtype)
    if config.go_backwards:
        x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
    h0 = np.zeros((B, H), x.dtype) if h0 is None else h0
    c0 = np.zeros((B, H), x.dtype) if c0 is None else c0

    hs = np.empty((B, T, H), x.dtype)
    zs, gates = np.zeros((B, T, 4 * H), x.dtype), np.zeros((B, T, 4 * H), x.dtype)
    h_states, c_states = np.empty((B, T, H), x.dtype), np.empty((B, T, H), x.dtype)

    h, c = h0, c0
    y = np.zeros((B, H), x.dtype)  # the output before the first step: zeros, whatever h0 is
    for t in range(T):
        h_new, c_new, z, gate = cell_forward(x[:, t], h, c, params, config)
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

    cache = LSTMCache(params, config, x, mask, h0, c0, zs, gates, h_states, c_states)
    return LSTMOutput(hs, h.copy(), c.copy(), cache if keep_cache else None)


def lstm_backward(
    d_hs: Array | None, d_h: Array | None, d_c: Array | None, cache: LSTMCache
) -> LSTMGradients:
    """Backpropagation through time.

    Args:
        d_hs: [B,T,H], gradients on the outputs, in the order of ``hs``; None for zeros.
        d_h, d_c: [B,H], gradients on the final state; None for zeros.
        cache: of the forward pass.
    """
    params, config, x, mask = cache.params, cache.config, cache.x, cache.mask
    B, T, D = x.shape
    H = params.units
    d_hs = np.zeros((B, T, H), x.dtype) if d_hs is None else d_hs
    d_h = np.zeros((B, H), x.dtype) if d_h is None else d_h
    d_c = np.zeros((B, H), x.dtype) if d_c is None else d_c

    h_prev = before_each_step(cache.h0, cache.h)
    c_prev = before_each_step(cache.c0, cache.c)
    d_z = np.empty((B, T, 4 * H), x.dtype)
    d_y = np.zeros((B, H), x.dtype)  # what later masked steps, repeating this output, send back
    for t in reversed(range(T)):
        step = (c_prev[:, t], cache.c[:, t], cache.z[:, t], cache.gates[:, t], params, config)
        d_y = d_y + d_hs[:, t]  # [EQ 17]
        if mask is None:  # h_t went two ways, out and into step t+1: both gradients, added
            d_z[:, t], d_h, d_c = cell_backward(d_h + d_y, d_c, *step)
            d_y = np.zeros_like(d_y)
        else:
            m = mask[:, t, None]
            d_z_t, d_h_prev, d_c_prev = cell_backward(d_h + d_y, d_c, *step)  # [EQ 17]
            d_z[:, t] = np.where(m, d_z_t, 0)
            d_h, d_c = np.where(m, d_h_prev, d_h), np.where(m, d_c_prev, d_c)  # [EQ 18]
            holds = config.masked_output == "hold"  # [EQ 17]
            d_y = np.where(m | (not holds), 0, d_y).astype(x.dtype)  # [EQ 17]

    d_x = d_z @ params.kernel.T  # [EQ 13]
    rows = B * T
    d_z_rows = d_z.reshape(rows, 4 * H)
    return LSTMGradients(
        d_x=d_x[:, ::-1] if config.go_backwards else d_x,
        d_kernel=x.reshape(rows, D).T @ d_z_rows,  # [EQ 14]
        d_recurrent_kernel=h_prev.reshape(rows, H).T @ d_z_rows,  # [EQ 14]
        d_bias=None if params.bias is None else d_z_rows.sum(axis=0),  # [EQ 14]
        d_h0=d_h,
        d_c0=d_c,
    )


def before_each_step(first: Array, states: Array) -> Array:
    """The state [B,T,H] before each step: the initial one, then those after the earlier steps."""
    return np.concatenate([first[:, None], states[:, :-1]], axis=1)[:, : states.shape[1]]
