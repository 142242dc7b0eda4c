"""Twins of ``spec.lstm``: arrays in, the loops in between, arrays out.

The equations themselves are in ``loops.lstm``, tagged as in the specification; here the buffers
are laid out for them.
"""

import numpy as np

from lstm_ref.conventions import GATES, Array
from lstm_ref.kernels import runtime
from lstm_ref.kernels.activations import CODES
from lstm_ref.kernels.geometry import PANEL_VECTORS, STEPS, TILE_ROWS
from lstm_ref.kernels.packing import column_panels, lanes, lstm_panels, padded
from lstm_ref.kernels.product import product, sum_of_outer_products, sum_of_rows
from lstm_ref.spec.lstm import before_each_step
from lstm_ref.spec.parameters import LSTMCache, LSTMConfig, LSTMGradients, LSTMOutput, LSTMParams

NOTHING = np.zeros(0, np.uint8)
"""Stands for a buffer that is not read."""


def lstm_forward(
    x: Array,
    params: LSTMParams,
    config: LSTMConfig,
    mask: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    keep_cache: bool = False,
) -> LSTMOutput:
    """The hidden state at every time step; arguments and results as in ``spec.lstm``."""
    B, T, D = x.shape
    H, dtype = params.units, x.dtype
    if mask is not None:
        x = np.where(mask[:, :, None], x, 0).astype(dtype)
    if config.go_backwards:
        x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
    x = np.ascontiguousarray(x)
    H_padded = padded(H, lanes(x))

    xh = np.zeros((2, B, D + H_padded), dtype)  # x_t and h_{t-1}, for even and for odd steps
    c = np.zeros((B, H_padded), dtype)
    h_even, h_odd = xh[0, :, D : D + H], xh[1, :, D : D + H]
    if h0 is not None:
        h_even[:] = h0
    if c0 is not None:
        c[:, :H] = c0
    hs = np.empty((B, T, H), dtype)
    z = gates = h_states = c_states = NOTHING
    if keep_cache:
        h0, c0 = h_even.copy(), c[:, :H].copy()
        z, gates = np.empty((B, T, 4 * H), dtype), np.empty((B, T, 4 * H), dtype)
        h_states, c_states = np.empty((B, T, H), dtype), np.empty((B, T, H), dtype)
    panels, bias = lstm_panels(params)

    runtime.kernel("lstm_forward", dtype)(
        x=x,
        mask=NOTHING if mask is None else as_bytes(mask),
        panels=panels,
        bias=bias,
        xh=xh,
        c=c,
        xW=np.empty((B, STEPS, 4 * H_padded) if B < TILE_ROWS else 0, dtype),
        hs=hs,
        z_cache=z,
        gates_cache=gates,
        h_cache=h_states,
        c_cache=c_states,
        B=B,
        T=T,
        D=D,
        H=H,
        activation=CODES[config.activation],
        recurrent_activation=CODES[config.recurrent_activation],
        masked=int(mask is not None),
        zero_output=int(config.masked_output == "zero"),
        keep_cache=int(keep_cache),
    )
    h_final, c_final = (h_odd if T % 2 else h_even).copy(), c[:, :H].copy()
    if not keep_cache or h0 is None or c0 is None:  # they are None only without a cache
        return LSTMOutput(hs, h_final, c_final)
    cache = LSTMCache(
        params, config, x, mask, h0, c0, z, gates, h_states, c_states, backend="numba"
    )
    return LSTMOutput(hs, h_final, c_final, cache)


def lstm_backward(
    d_hs: Array | None, d_h: Array | None, d_c: Array | None, cache: LSTMCache
) -> LSTMGradients:
    """Backpropagation through time; arguments and results as in ``spec.lstm``."""
    params, config, x, mask = cache.params, cache.config, cache.x, cache.mask
    B, T, D = x.shape
    H, dtype, L = params.units, x.dtype, lanes(x)
    width = PANEL_VECTORS * L
    H_padded, z_width = padded(H, width), padded(len(GATES) * H, width)

    carried_h, carried_c = np.zeros((B, H_padded), dtype), np.zeros((B, H), dtype)
    if d_h is not None:
        carried_h[:, :H] = d_h
    if d_c is not None:
        carried_c[:] = d_c
    d_z = np.zeros((B, T, z_width), dtype)
    c_prev = before_each_step(cache.c0, cache.c)

    runtime.kernel("lstm_backward", dtype)(
        d_hs=np.zeros((B, T, H), dtype) if d_hs is None else np.ascontiguousarray(d_hs),
        mask=NOTHING if mask is None else as_bytes(mask),
        panels=column_panels(params.recurrent_kernel.T, PANEL_VECTORS),
        z=cache.z,
        gates=cache.gates,
        c_prev=c_prev,
        c=cache.c,
        d_h=carried_h,
        d_c=carried_c,
        d_y=np.zeros((B, H), dtype),
        d_z=d_z,
        work=np.empty((B, H_padded), dtype),
        B=B,
        T=T,
        H=H,
        activation=CODES[config.activation],
        recurrent_activation=CODES[config.recurrent_activation],
        masked=int(mask is not None),
        zero_output=int(config.masked_output == "zero"),
    )

    d_z_rows = d_z.reshape(B * T, z_width)
    h_prev = before_each_step(cache.h0, cache.h).reshape(B * T, H)
    columns = len(GATES) * H
    d_x = product(d_z_rows[:, :columns], params.kernel.T).reshape(B, T, D)  # [EQ 13]
    return LSTMGradients(
        d_x=d_x[:, ::-1] if config.go_backwards else d_x,
        d_kernel=sum_of_outer_products(x.reshape(B * T, D), d_z_rows, columns),  # [EQ 14]
        d_recurrent_kernel=sum_of_outer_products(h_prev, d_z_rows, columns),  # [EQ 14]
        d_bias=None if params.bias is None else sum_of_rows(d_z_rows, columns),  # [EQ 14]
        d_h0=carried_h[:, :H].copy(),
        d_c0=carried_c,
    )


def as_bytes(mask: Array) -> Array:
    """A bool mask as contiguous bytes."""
    return np.ascontiguousarray(mask).view(np.uint8)
