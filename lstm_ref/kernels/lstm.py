"""Twins of ``spec.lstm``: arrays in, the loops in between, arrays out.

The equations themselves are in ``loops.lstm``, tagged as in the specification; here the buffers
are laid out for them.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from lstm_ref.conventions import GATES, PEEPHOLE_GATES, Array, split_gates
from lstm_ref.kernels import runtime
from lstm_ref.kernels.activations import activate, code, parameters
from lstm_ref.kernels.geometry import PANEL_VECTORS, STEPS, TILE_ROWS
from lstm_ref.kernels.packing import (
    column_panels,
    lanes,
    lstm_panels,
    padded,
    panel_vectors,
)
from lstm_ref.kernels.product import pad_columns, product, sum_of_outer_products, sum_of_rows
from lstm_ref.spec.lstm import before_each_step
from lstm_ref.spec.parameters import (
    Dropout,
    LSTMCache,
    LSTMConfig,
    LSTMGradients,
    LSTMOutput,
    LSTMParams,
)

NOTHING = 0
"""Stands for a buffer that is not read: no address."""


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
    """The hidden state at every time step; arguments and results as in ``spec.lstm``."""
    B, T, D = x.shape
    H, P, dtype, L = params.units, params.outputs, x.dtype, lanes(x)
    if mask is not None:
        x = np.where(mask[:, :, None], x, 0).astype(dtype)
    if config.go_backwards:
        x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
    x = np.ascontiguousarray(x)
    x_seen, factors = dropped(x, dropout, P)
    copies, P_padded, H_padded = len(x_seen), padded(P, L), padded(H, L)

    xh = np.zeros((2, copies, B, D + P_padded), dtype)  # what the gates see, in turns
    c = np.zeros((B, H_padded), dtype)
    h, h_last = None, xh[T % 2, 0, :, D : D + P]
    if h0 is not None:
        xh[0, ..., D : D + P] = h0
    if factors is not None:
        h = xh[0, 0, :, D:].copy()  # the state is not what the gates see of it
        h_last = h[:, :P]
        factors = padded_to(factors, P_padded)
        xh[0, ..., D:] *= factors
    if c0 is not None:
        c[:, :H] = c0
    hs = np.empty((B, T, P), dtype)
    z = gates = h_states = c_states = None
    if keep_cache:
        z, gates = np.empty((B, T, 4 * H), dtype), np.empty((B, T, 4 * H), dtype)
        h_states, c_states = np.empty((B, T, P), dtype), np.empty((B, T, H), dtype)
    packed = lstm_panels(params)
    width = packed.projection_vectors * L

    runtime.kernel("lstm_forward", dtype)(
        x=x_seen,
        mask=given(mask),
        panels=packed.weights,
        bias=packed.bias,
        peepholes=given(packed.peephole),
        projection=given(packed.projection),
        factors=given(factors),
        xh=xh,
        h=given(h),
        c=c,
        q=NOTHING if params.projection is None else np.empty((B, H_padded), dtype),
        qR=NOTHING if params.projection is None else np.empty((B, padded(P, width)), dtype),
        xW=np.empty((B, STEPS, 4 * H_padded), dtype) if B < TILE_ROWS else NOTHING,
        hs=hs,
        z_cache=given(z),
        gates_cache=given(gates),
        h_cache=given(h_states),
        c_cache=given(c_states),
        B=B,
        T=T,
        D=D,
        H=H,
        P=P,
        copies=copies,
        projection_vectors=packed.projection_vectors,
        keep_cache=int(keep_cache),
        **options(params, config, mask, factors, dtype),
    )
    h_final, c_final = h_last.copy(), c[:, :H].copy()
    if z is None or gates is None or h_states is None or c_states is None:
        return LSTMOutput(hs, h_final, c_final)
    first_h, first_c = (np.zeros((B, n), dtype) if s is None else s for s, n in ((h0, P), (c0, H)))
    cache = LSTMCache(
        params, config, x, mask, first_h, first_c, z, gates, h_states, c_states, dropout, "numba"
    )
    return LSTMOutput(hs, h_final, c_final, cache)


def lstm_backward(
    d_hs: Array | None, d_h: Array | None, d_c: Array | None, cache: LSTMCache
) -> LSTMGradients:
    """Backpropagation through time; arguments and results as in ``spec.lstm``."""
    params, config, x, mask = cache.params, cache.config, cache.x, cache.mask
    B, T, D = x.shape
    H, P, dtype, L = params.units, params.outputs, x.dtype, lanes(x)
    width = PANEL_VECTORS * L
    P_wide, z_width = padded(P, width), padded(len(GATES) * H, width)
    R = params.projection
    vectors = panel_vectors(H, L)  # of the panels of Rᵀ
    x_seen, factors = dropped(x, cache.dropout, P)
    if factors is not None:
        factors = padded_to(factors, P_wide)

    carried_h, carried_c = np.zeros((B, P_wide), dtype), np.zeros((B, H), dtype)
    if d_h is not None:
        carried_h[:, :P] = d_h
    if d_c is not None:
        carried_c[:] = d_c
    d_z = np.zeros((B, T, z_width), dtype)
    d_h_all = None if R is None else np.zeros((B, T, P), dtype)
    c_prev = before_each_step(cache.c0, cache.c)

    runtime.kernel("lstm_backward", dtype)(
        d_hs=np.zeros((B, T, P), dtype) if d_hs is None else np.ascontiguousarray(d_hs),
        mask=given(mask),
        panels=column_panels(params.recurrent_kernel.T, PANEL_VECTORS),
        peepholes=given(params.peephole),
        projection=NOTHING if R is None else column_panels(R.T, vectors),
        factors=given(factors),
        z=cache.z,
        gates=cache.gates,
        c_prev=c_prev,
        c=cache.c,
        d_h=carried_h,
        d_c=carried_c,
        d_y=np.zeros((B, P), dtype),
        d_z=d_z,
        d_h_all=given(d_h_all),
        d_q=np.empty((B, padded(H, vectors * L)), dtype),
        a=np.empty(H, dtype),
        work=np.empty((B, P_wide), dtype),
        B=B,
        T=T,
        H=H,
        P=P,
        copies=len(x_seen),
        projection_vectors=vectors,
        **options(params, config, mask, factors, dtype),
    )

    h_prev = before_each_step(cache.h0, cache.h)
    s, r = (None, None) if cache.dropout is None else (cache.dropout.x, cache.dropout.h)
    d_z_rows = d_z.reshape(B * T, z_width)
    d_x = out_of_gates(d_z_rows, s, params.kernel, (B, T, D))  # [EQ 13, 32]
    return LSTMGradients(
        d_x=d_x[:, ::-1] if config.go_backwards else d_x,
        d_kernel=weights_gradient(x, s, d_z_rows, H),  # [EQ 14, 32]
        d_recurrent_kernel=weights_gradient(h_prev, r, d_z_rows, H),  # [EQ 14, 32]
        d_bias=None if params.bias is None else sum_of_rows(d_z_rows, 4 * H),  # [EQ 14]
        d_h0=carried_h[:, :P].copy(),
        d_c0=carried_c,
        d_peephole=None if params.peephole is None else peephole_gradient(d_z, c_prev, cache.c),
        d_projection=None if d_h_all is None else projection_gradient(cache, d_h_all),
    )


# What the two passes hand to the loops alike.


def options(
    params: LSTMParams,
    config: LSTMConfig,
    mask: Array | None,
    factors: Array | None,
    dtype: np.dtype[Any],
) -> dict[str, Array | int]:
    """The config, and which of the buffers are read, as the loops take them."""
    return {
        **config_options(config, dtype),
        "dropped": int(factors is not None),
        "peephole": int(params.peephole is not None),
        "projected": int(params.projection is not None),
        "masked": int(mask is not None),
    }


@lru_cache(maxsize=256)
def config_options(config: LSTMConfig, dtype: np.dtype[Any]) -> dict[str, Array | int]:
    """The config alone, as the loops take it."""
    σ, φ, φ_h = config.recurrent_activation, config.activation, config.activation_of_output
    κ = np.array([config.clip or 0], dtype)
    return {
        "numbers": np.concatenate([*(parameters(act, dtype) for act in (σ, φ, φ_h)), κ]),
        "activation": code(φ),
        "recurrent_activation": code(σ),
        "output_activation": code(φ_h),
        "clipped": int(config.clip is not None),
        "coupled": int(config.input_forget),
        "zero_output": int(config.masked_output == "zero"),
    }


def dropped(x: Array, dropout: Dropout | None, P: int) -> tuple[Array, Array | None]:
    """x times its dropout factors, and those of h (or None), each with a first axis of copies.

    There is one copy for all gates, or, where some factors differ between gates, four.
    """
    if dropout is None:
        return x[None], None
    copies = max(1 if v is None or v.ndim == 2 else len(v) for v in (dropout.x, dropout.h))
    seen = x if dropout.x is None else x * dropout.x[..., None, :]
    x_seen = np.ascontiguousarray(np.broadcast_to(seen, (copies, *x.shape)))
    if dropout.h is None and copies == 1:
        return x_seen, None
    of_h = np.ones((1, 1), x.dtype) if dropout.h is None else dropout.h
    return x_seen, np.broadcast_to(of_h, (copies, len(x), P))


def padded_to(array: Array, width: int) -> Array:
    """The last axis filled up with zeros."""
    whole = np.zeros((*array.shape[:-1], width), array.dtype)
    whole[..., : array.shape[-1]] = array
    return whole


def given(buffer: Array | None) -> Array | int:
    """A buffer, contiguous, or what stands for none; a bool mask as bytes."""
    if buffer is None:
        return NOTHING
    contiguous = np.ascontiguousarray(buffer)
    return contiguous.view(np.uint8) if buffer.dtype == bool else contiguous


# Gradients that are sums over all steps, taken after the loop.


def out_of_gates(
    d_z: Array, factors: Array | None, weights: Array, shape: tuple[int, ...]
) -> Array:
    """The gradient on z, rows of [4H], becomes that on x[B,T,D]."""
    d_z = d_z[:, : weights.shape[1]]
    if factors is None or factors.ndim == 2:
        d_x = product(d_z, weights.T).reshape(shape)  # [EQ 13]
        return d_x if factors is None else d_x * factors[:, None]  # [EQ 32]
    d_x = np.zeros(shape, d_z.dtype)
    each = zip(factors, split_gates(d_z), split_gates(weights), strict=True)
    for s, d_z_n, weights_n in each:
        d_x += s[:, None] * product(d_z_n, weights_n.T).reshape(shape)  # [EQ 32]
    return d_x


def weights_gradient(v: Array, factors: Array | None, d_z: Array, H: int) -> Array:
    """v[B,T,D] and the gradient on z, rows of [4H] in whole panels, become that on the weights."""
    B, T, D = v.shape
    if factors is None or factors.ndim == 2:
        seen = v if factors is None else v * factors[:, None]  # [EQ 32]
        return sum_of_outer_products(seen.reshape(B * T, D), d_z, len(GATES) * H)  # [EQ 14]
    d_weights = np.empty((D, len(GATES) * H), v.dtype)
    each = zip(factors, split_gates(d_z[:, : len(GATES) * H]), split_gates(d_weights), strict=True)
    for s, d_z_n, d_weights_n in each:
        seen = (v * s[:, None]).reshape(B * T, D)
        d_z_panels, vectors = pad_columns(d_z_n)
        d_weights_n[:] = sum_of_outer_products(seen, d_z_panels, H, vectors)  # [EQ 32]
    return d_weights


def peephole_gradient(d_z: Array, c_prev: Array, c: Array) -> Array:
    """The gradient on p[3H], from those on z and the cell states around each step [EQ 31]."""
    B, T, H = c.shape
    d_z_i, d_z_f, _, d_z_o = split_gates(d_z[..., : len(GATES) * H])
    terms = np.empty((B, T, len(PEEPHOLE_GATES), H), c.dtype)
    for n, (d_z_n, state) in enumerate(((d_z_i, c_prev), (d_z_f, c_prev), (d_z_o, c))):
        np.multiply(d_z_n, state, out=terms[:, :, n])
    rows, vectors = pad_columns(terms.reshape(B * T, len(PEEPHOLE_GATES) * H))
    return sum_of_rows(rows, len(PEEPHOLE_GATES) * H, vectors)


def projection_gradient(cache: LSTMCache, d_h_all: Array) -> Array:
    """The gradient on R[H,P], from that on each h_t [EQ 28]."""
    B, T, H = cache.c.shape
    P = d_h_all.shape[-1]
    _, _, _, o = split_gates(cache.gates)
    q = o * activate(cache.config.activation_of_output, cache.c)  # [EQ 27]
    rows, vectors = pad_columns(d_h_all.reshape(B * T, P))
    return sum_of_outer_products(q.reshape(B * T, H), rows, P, vectors)
