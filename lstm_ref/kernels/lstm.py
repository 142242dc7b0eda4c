"""Twins of ``spec.lstm``: arrays in, the loops in between, arrays out.

The equations themselves are in ``loops.lstm``, tagged as in the specification; here the buffers
are laid out for them.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from lstm_ref.conventions import GATES, PEEPHOLE_GATES, Array, split_gates
from lstm_ref.kernels import memory, runtime
from lstm_ref.kernels.activations import FROM_RESULT_ALONE, activate, code, parameters
from lstm_ref.kernels.geometry import CUT_ROWS, PANEL_VECTORS, STEPS, TILE_ROWS
from lstm_ref.kernels.packing import (
    NOTHING,
    column_panels,
    lanes,
    lstm_panels,
    padded,
    panel_vectors,
    panels_of_a_call,
)
from lstm_ref.kernels.product import pad_columns, product, sum_of_outer_products, sum_of_rows
from lstm_ref.spec.parameters import (
    Dropout,
    LSTMCache,
    LSTMConfig,
    LSTMGradients,
    LSTMOutput,
    LSTMParams,
)
from lstm_ref.threads import shares

CELL_TERMS = 25
"""What the cell's update takes beside the products: about as long as so many more terms of z."""


@dataclass(frozen=True)
class LoopsCache(LSTMCache):
    """What the loops wrote and read again; the arrays of `LSTMCache` are views of it.

    The time axis comes first, so that what a step writes lies together.

    z is computed anew when somebody asks for it, where the way back does not need it: less memory
    to fill and to read in every step of training.

    Attributes:
        xh: [copies,T+1,B,1+D+P_padded]: 1, x_t, h_{t-1}, the last two as the gates see them.
        cells: [T+1,B,H_padded], c_0 first.
    """

    xh: Array = field(kw_only=True)
    cells: Array = field(kw_only=True)

    def __getattr__(self, name: str) -> Array:
        """z, when it was not kept: it has the same bits, from the same sums."""
        if name != "z":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        z = pre_activations(self)
        object.__setattr__(self, "z", z)
        return z


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
        x = np.where(mask[:, :, None], x, dtype.type(0))
    if config.go_backwards:
        x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
    x = np.ascontiguousarray(x)
    x_seen, factors = dropped(x, dropout, P)
    copies, P_padded, H_padded = len(x_seen), padded(P, L), padded(H, L)
    slots = T + 1 if keep_cache else 2  # of states: all of them, or two in turns

    xh = memory.empty((copies, slots, B, 1 + D + P_padded), dtype)  # what the gates see
    c = first_slot_of((slots, B, H_padded), c0, dtype)
    h = None
    if factors is None:
        put(h0, xh[:, 0, :, 1 + D :])
        h_states = xh[0, :, :, 1 + D : 1 + D + P]
    else:
        h = first_slot_of((slots, B, P_padded), h0, dtype)  # not what the gates see of it
        h_states = h[:, :, :P]
        factors = padded_to(factors, P_padded)
        np.multiply(factors, h[0], out=xh[:, 0, :, 1 + D :])
    hs = np.empty((B, T, P), dtype)
    z = gates = None
    if keep_cache:
        gates = memory.empty((T, B, len(GATES) * H), dtype)
        z = memory.empty(gates.shape, dtype) if z_is_read(params, config) else None
    packed = lstm_panels(params)
    width = packed.projection_vectors * L
    blocks = shares(B, CUT_ROWS, work(B, T, D, params))

    runtime.kernel("lstm_forward", dtype).over_rows(
        blocks,
        x=x_seen,
        mask=given(mask),
        panels=packed.weights,
        peepholes=given(packed.peephole),
        projection=given(packed.projection),
        factors=given(factors),
        xh=xh,
        h=given(h),
        c=c,
        q=NOTHING if params.projection is None else np.empty((B, H_padded), dtype),
        qR=NOTHING if params.projection is None else np.empty((B, padded(P, width)), dtype),
        xW=np.empty((B, STEPS, 4 * H_padded), dtype) if ahead(blocks) else NOTHING,
        hs=hs,
        z_cache=given(z),
        gates_cache=given(gates),
        B=B,
        T=T,
        D=D,
        H=H,
        P=P,
        slots=slots,
        copies=copies,
        projection_vectors=packed.projection_vectors,
        keep_cache=int(keep_cache),
        keep_z=int(z is not None),
        **options(params, config, mask, factors, dtype),
    )
    h_final, c_final = h_states[T % slots].copy(), c[T % slots, :, :H].copy()
    if gates is None:
        return LSTMOutput(hs, h_final, c_final)
    c_states, rows_first = c[:, :, :H], (1, 0, 2)
    cache = LoopsCache(
        params,
        config,
        x,
        mask,
        h0=h_states[0],
        c0=c_states[0],
        z=gates if z is None else z.transpose(rows_first),
        gates=gates.transpose(rows_first),
        h=h_states[1:].transpose(rows_first),
        c=c_states[1:].transpose(rows_first),
        dropout=dropout,
        backend="numba",
        xh=xh,
        cells=c,
    )
    if z is None:
        object.__delattr__(cache, "z")  # until somebody asks for it
    return LSTMOutput(hs, h_final, c_final, cache)


def lstm_backward(
    d_hs: Array | None,
    d_h: Array | None,
    d_c: Array | None,
    cache: LSTMCache,
    for_x: bool = True,
) -> LSTMGradients:
    """Backpropagation through time; arguments and results as in ``spec.lstm``."""
    assert isinstance(cache, LoopsCache)
    params, config, mask = cache.params, cache.config, cache.mask
    B, T, D = cache.x.shape
    H, P, dtype, L = params.units, params.outputs, cache.x.dtype, lanes(cache.x)
    of_U = panel_vectors(P, L, B)  # of the panels of Uᵀ
    P_wide, z_width = padded(P, of_U * L), padded(len(GATES) * H, PANEL_VECTORS * L)
    R = params.projection
    of_R = panel_vectors(H, L)  # of the panels of Rᵀ
    copies, (_, factors) = len(cache.xh), dropped(cache.x, cache.dropout, P)
    if factors is not None:
        factors = padded_to(factors, P_wide)

    blocks = shares(B, CUT_ROWS, work(B, T, 0, params))
    panels, packed = panels_of_a_call(params.recurrent_kernel.T, of_U, blocks)
    scratch_row = padded(P_wide + padded(H, of_R * L) + H + P, L)

    carried_h, carried_c = (memory.empty((B, n), dtype) for n in (P_wide, H))
    put(d_h, carried_h)
    put(d_c, carried_c)
    d_z = memory.empty((T, B, z_width), dtype)
    d_h_all = None if R is None else np.empty((T, B, P), dtype)
    time_first = (1, 0, 2)

    runtime.kernel("lstm_backward", dtype).over_rows(
        blocks,
        d_hs=memory.zeros((B, T, P), dtype) if d_hs is None else np.ascontiguousarray(d_hs),
        mask=given(mask),
        recurrent_kernel=given(params.recurrent_kernel),
        panels=panels,
        peepholes=given(params.peephole),
        projection=NOTHING if R is None else column_panels(R.T, of_R),
        factors=given(factors),
        z=given(cache.z.transpose(time_first)) if z_is_read(params, config) else NOTHING,
        gates=given(cache.gates.transpose(time_first)),
        c=cache.cells,
        d_h=carried_h,
        d_c=carried_c,
        d_z=d_z,
        d_h_all=given(d_h_all),
        scratch=memory.empty((B, scratch_row), dtype),
        B=B,
        T=T,
        H=H,
        P=P,
        panel_vectors=of_U,
        packed=int(packed),
        scratch_row=scratch_row,
        copies=copies,
        projection_vectors=of_R,
        **options(params, config, mask, factors, dtype),
    )

    d_z_rows = d_z.reshape(T * B, z_width)
    d_x = np.empty((0, B, D), dtype)
    if for_x:
        d_x = out_of_gates(d_z_rows, cache.dropout, params.kernel, (T, B, D))  # [EQ 13, 32]
    d_weights = weights_gradient(cache.xh, d_z_rows, T, D, params)  # [EQ 14, 32]
    c_prev, c = cache.cells[:T, :, :H], cache.cells[1:, :, :H]
    return LSTMGradients(
        d_x=(d_x[::-1] if config.go_backwards else d_x).transpose(time_first),
        d_kernel=d_weights[1 : 1 + D],
        d_recurrent_kernel=d_weights[1 + D :],
        d_bias=None if params.bias is None else d_weights[0],
        d_h0=carried_h[:, :P].copy(),
        d_c0=carried_c,
        d_peephole=None if params.peephole is None else peephole_gradient(d_z, c_prev, c),
        d_projection=None if d_h_all is None else projection_gradient(cache, d_h_all),
    )


# What the two passes hand to the loops alike.


def work(B: int, T: int, D: int, params: LSTMParams) -> float:
    """Additions and multiplications of one pass, for the threads to share."""
    return 2.0 * B * T * len(GATES) * params.units * (D + params.outputs + CELL_TERMS)


def z_is_read(params: LSTMParams, config: LSTMConfig) -> bool:
    """Whether the way back needs z, and not the gates alone.

    It does where a derivative is not read off its result, or z was changed after it was summed up.
    """
    if params.peephole is not None or config.clip is not None:
        return True
    return not {config.activation, config.recurrent_activation} <= set(FROM_RESULT_ALONE)


def pre_activations(cache: LoopsCache) -> Array:
    """z[B,T,4H], where it is the plain sum [EQ 1]; zeros at masked steps."""
    params, (B, T, _) = cache.params, cache.x.shape
    bias = np.zeros_like(params.kernel, shape=(1, 4 * params.units))
    if params.bias is not None:
        bias[0] = params.bias
    weights = np.concatenate([bias, params.kernel, params.recurrent_kernel])
    seen = [copy[:T].reshape(T * B, cache.xh.shape[-1]) for copy in cache.xh]
    if len(seen) == 1:
        rows = product(seen[0], weights)
    else:
        each = zip(seen, split_gates(weights), strict=True)
        rows = np.concatenate([product(seen_n, w_n) for seen_n, w_n in each], axis=1)
    z = rows.reshape(T, B, 4 * params.units).transpose(1, 0, 2)
    return z if cache.mask is None else np.where(cache.mask[..., None], z, z.dtype.type(0))


def ahead(blocks: list[tuple[int, int]]) -> bool:
    """Whether a block has so few rows that the loops take x W for several steps at once."""
    return any(end - first < TILE_ROWS for first, end in blocks)


def first_slot_of(shape: tuple[int, int, int], state: Array | None, dtype: np.dtype[Any]) -> Array:
    """Slots for the states of a sequence, the initial one in the first; the others are empty."""
    slots = memory.empty(shape, dtype)
    put(state, slots[0])
    return slots


def put(state: Array | None, place: Array) -> None:
    """The initial state goes to its place, which is wider; None and the rest are zeros."""
    place[...] = 0
    if state is not None:
        place[..., : state.shape[-1]] = state


def options(
    params: LSTMParams,
    config: LSTMConfig,
    mask: Array | None,
    factors: Array | None,
    dtype: np.dtype[Any],
) -> dict[str, Any]:
    """The config, and which of the buffers are read, as the loops take them."""
    return {
        **config_options(config, dtype),
        "dropped": int(factors is not None),
        "peephole": int(params.peephole is not None),
        "projected": int(params.projection is not None),
        "masked": int(mask is not None),
    }


@lru_cache(maxsize=256)
def config_options(config: LSTMConfig, dtype: np.dtype[Any]) -> dict[str, Any]:
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


def given(buffer: Array | None) -> Array:
    """A buffer, contiguous, or what stands for none; a bool mask as bytes."""
    if buffer is None:
        return NOTHING
    contiguous = np.ascontiguousarray(buffer)
    return contiguous.view(np.uint8) if buffer.dtype == bool else contiguous


# Gradients that are sums over all steps, taken after the loop.


def out_of_gates(
    d_z: Array, dropout: Dropout | None, weights: Array, shape: tuple[int, ...]
) -> Array:
    """The gradient on z, rows of [4H in whole panels], becomes that on x[T,B,D]."""
    factors = None if dropout is None else dropout.x
    if factors is None or factors.ndim == 2:
        d_x = product(d_z, weights.T).reshape(shape)  # [EQ 13]
        return d_x if factors is None else d_x * factors  # [EQ 32]
    d_x = np.zeros(shape, d_z.dtype)
    each = zip(factors, split_gates(d_z[:, : weights.shape[1]]), split_gates(weights), strict=True)
    for s, d_z_n, weights_n in each:
        d_x += s * product(d_z_n, weights_n.T).reshape(shape)  # [EQ 32]
    return d_x


def weights_gradient(xh: Array, d_z: Array, T: int, D: int, params: LSTMParams) -> Array:
    """What the gates saw and the gradient on z become that on b, W and U, one above the other."""
    H, rows = params.units, 1 + D + params.outputs
    seen = [copy[:T].reshape(len(d_z), xh.shape[-1]) for copy in xh]
    if len(seen) == 1:
        return sum_of_outer_products(seen[0], d_z, len(GATES) * H, rows=rows)  # [EQ 14]
    d_weights = np.empty((rows, len(GATES) * H), xh.dtype)
    each = zip(seen, split_gates(d_z[:, : len(GATES) * H]), split_gates(d_weights), strict=True)
    for seen_n, d_z_n, d_weights_n in each:
        d_z_panels, vectors = pad_columns(d_z_n)
        d_weights_n[:] = sum_of_outer_products(seen_n, d_z_panels, H, vectors, rows)  # [EQ 32]
    return d_weights


def peephole_gradient(d_z: Array, c_prev: Array, c: Array) -> Array:
    """The gradient on p[3H], from those on z and the cell states around each step [EQ 31]."""
    T, B, H = c.shape
    d_z_i, d_z_f, _, d_z_o = split_gates(d_z[..., : len(GATES) * H])
    terms = np.empty((T, B, len(PEEPHOLE_GATES), H), c.dtype)
    for n, (d_z_n, state) in enumerate(((d_z_i, c_prev), (d_z_f, c_prev), (d_z_o, c))):
        np.multiply(d_z_n, state, out=terms[:, :, n])
    rows, vectors = pad_columns(terms.reshape(T * B, len(PEEPHOLE_GATES) * H))
    return sum_of_rows(rows, len(PEEPHOLE_GATES) * H, vectors)


def projection_gradient(cache: LoopsCache, d_h_all: Array) -> Array:
    """The gradient on R[H,P], from that on each h_t, [T,B,P] [EQ 28]."""
    T, B, P = d_h_all.shape
    H = cache.params.units
    _, _, _, o = split_gates(cache.gates.transpose(1, 0, 2))
    q = o * activate(cache.config.activation_of_output, cache.cells[1:, :, :H])  # [EQ 27]
    rows, vectors = pad_columns(d_h_all.reshape(T * B, P))
    return sum_of_outer_products(q.reshape(T * B, H), rows, P, vectors)
