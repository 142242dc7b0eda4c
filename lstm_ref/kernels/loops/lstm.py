"""The loops of the LSTM over time, forward and backward: twins of ``spec.cell`` and ``spec.lstm``.

Hidden units are taken a *panel* at a time: as many as fit one vector, L. The weights of a panel lie
packed as [K, 4, L], the columns of its i, f, g and o side by side, so that one tile of the product
holds all four gates of the same units and the cell update follows at once, while they are in the
nearest cache. States are padded to whole panels [B, H_padded]; what is in the padding is computed
like the rest and never read by anything real.
"""

from lstm_ref.kernels.loops.activations import activate, scale_by_derivative
from lstm_ref.kernels.loops.product import PANEL_VECTORS, TILE_ROWS, add_product_tile
from lstm_ref.kernels.loops.vector import (
    Buffer,
    Bytes,
    Size,
    at,
    copy_vector,
    fma,
    lanes,
    loop,
    real,
    stack_vectors,
)

TILE_VECTORS = TILE_ROWS * PANEL_VECTORS


@loop
def lstm_forward(
    x: Buffer,
    mask: Bytes,
    panels: Buffer,
    bias: Buffer,
    h: Buffer,
    c: Buffer,
    hs: Buffer,
    z_cache: Buffer,
    gates_cache: Buffer,
    h_cache: Buffer,
    c_cache: Buffer,
    B: Size,
    T: Size,
    D: Size,
    H: Size,
    activation: Size,
    recurrent_activation: Size,
    masked: Size,
    zero_output: Size,
    keep_cache: Size,
) -> None:
    """All time steps of a batch.

    x[B,T,D]; mask[B,T], read when ``masked``; panels[H_padded/L, D+H, 4, L]; bias in the same
    panels [H_padded/L, 4, L]; h[2,B,H_padded], the state before even and odd steps, the initial
    one first; c[B,H_padded], updated in place; hs[B,T,H]. The caches, [B,T,4H], [B,T,4H], [B,T,H],
    [B,T,H], are written when ``keep_cache``.
    """
    L = lanes(h)
    panel_width = PANEL_VECTORS * L
    panel_count = (H + L - 1) // L
    H_padded = panel_count * L
    tile = stack_vectors(h, TILE_VECTORS)  # z, then the gates after activation: [4, rows, L]
    h_new = stack_vectors(h, TILE_ROWS)  # φ(c_t), then h_t: [rows, L]
    c_new = stack_vectors(h, TILE_ROWS)

    for t in range(T):
        h_before = at(h, (t % 2) * B * H_padded)  # the two halves of h take turns
        h_after = at(h, (1 - t % 2) * B * H_padded)
        for n in range(panel_count):
            unit = n * L
            width = min(H - unit, L)  # units of this panel that are real
            W = at(panels, n * (D + H) * panel_width)
            U = at(W, D * panel_width)
            b = 0
            while b < B:
                rows = min(B - b, TILE_ROWS)
                count = rows * L
                i, f, g, o = tile, at(tile, count), at(tile, 2 * count), at(tile, 3 * count)

                # [EQ 1] z = x_t W + h_{t-1} U + b
                for v in range(PANEL_VECTORS):
                    for m in range(rows):
                        copy_vector(tile, v * count + m * L, bias, n * panel_width + v * L)
                x_t, h_t = at(x, (b * T + t) * D), at(h_before, b * H_padded)
                add_product_tile(tile, L, count, x_t, T * D, 1, W, panel_width, D, rows)
                add_product_tile(tile, L, count, h_t, H_padded, 1, U, panel_width, H, rows)
                if keep_cache:
                    store_gates(z_cache, tile, mask, masked, b, t, T, H, unit, width, rows)

                activate(recurrent_activation, i, 2 * count)  # [EQ 2] i and f lie side by side
                activate(activation, g, count)  # [EQ 3]
                for m in range(rows):
                    c_old = at(c, (b + m) * H_padded + unit)
                    for u in range(L):
                        k = m * L + u
                        c_new[k] = fma(f[k], c_old[u], i[k] * g[k])  # [EQ 4]
                        h_new[k] = c_new[k]
                activate(recurrent_activation, o, count)  # [EQ 5]
                activate(activation, h_new, count)
                for k in range(count):
                    h_new[k] = o[k] * h_new[k]  # [EQ 6]
                if keep_cache:
                    store_gates(gates_cache, tile, mask, masked, b, t, T, H, unit, width, rows)

                for m in range(rows):
                    step = (b + m) * T + t
                    state = (b + m) * H_padded + unit
                    y = at(hs, step * H + unit)
                    if masked == 0 or mask[step] != 0:
                        copy_vector(h_after, state, h_new, m * L)
                        copy_vector(c, state, c_new, m * L)
                        for u in range(width):
                            y[u] = h_new[m * L + u]  # [EQ 16]
                    else:
                        copy_vector(h_after, state, h_before, state)  # [EQ 15] and c stays
                        for u in range(width):  # [EQ 16]
                            y[u] = real(y[u], 0.0) if zero_output or t == 0 else y[u - H]
                    if keep_cache:
                        h_row, c_row = at(h_cache, step * H + unit), at(c_cache, step * H + unit)
                        for u in range(width):
                            h_row[u] = h_after[state + u]
                            c_row[u] = c[state + u]
                b += rows


@loop
def store_gates(
    cache: Buffer,
    tile: Buffer,
    mask: Bytes,
    masked: Size,
    b: Size,
    t: Size,
    T: Size,
    H: Size,
    unit: Size,
    width: Size,
    rows: Size,
) -> None:
    """Copy the tile's z or gates into cache[B,T,4H]; zeros where the step is masked."""
    L = lanes(tile)
    for m in range(rows):
        step = (b + m) * T + t
        real_step = masked == 0 or mask[step] != 0
        for v in range(PANEL_VECTORS):
            target = at(cache, (step * PANEL_VECTORS + v) * H + unit)
            source = at(tile, (v * rows + m) * L)
            for u in range(width):
                target[u] = source[u] if real_step else real(source[u], 0.0)


@loop
def lstm_backward(
    d_hs: Buffer,
    mask: Bytes,
    panels: Buffer,
    z: Buffer,
    gates: Buffer,
    c_prev: Buffer,
    c: Buffer,
    d_h: Buffer,
    d_c: Buffer,
    d_y: Buffer,
    d_z: Buffer,
    work: Buffer,
    B: Size,
    T: Size,
    H: Size,
    activation: Size,
    recurrent_activation: Size,
    masked: Size,
    zero_output: Size,
) -> None:
    """Backpropagation through time, down to d_z; the gradients of x and the weights are products.

    d_hs[B,T,H]; mask[B,T], read when ``masked``; panels of Uᵀ, [H_padded/4L, 4H, 4L]; z and gates
    [B,T,4H]; c_prev and c [B,T,H]; d_h[B,H_padded] and d_c[B,H], the gradients carried from step
    to step: those on the final state at first, on the initial state in the end. d_y[B,H] and
    d_z[B,T,4H padded to whole panels] come as zeros. work[B,H_padded] is scratch.
    """
    L = lanes(d_h)
    panel_width = PANEL_VECTORS * L
    panel_count = (H + panel_width - 1) // panel_width
    H_padded = panel_count * panel_width
    z_width = (4 * H + panel_width - 1) // panel_width * panel_width

    for t in range(T - 1, -1, -1):
        for b in range(B):
            step = b * T + t
            d_out, held = at(d_hs, step * H), at(d_y, b * H)
            for u in range(H):
                held[u] += d_out[u]
            if masked and mask[step] == 0:
                if zero_output:
                    for u in range(H):
                        held[u] = real(held[u], 0.0)  # [EQ 17]
                continue

            gate = at(gates, step * 4 * H)
            i, f, g, o = gate, at(gate, H), at(gate, 2 * H), at(gate, 3 * H)
            d_gate = at(d_z, step * z_width)
            d_i, d_f, d_g, d_o = d_gate, at(d_gate, H), at(d_gate, 2 * H), at(d_gate, 3 * H)
            c_t, c_before, d_c_t = at(c, step * H), at(c_prev, step * H), at(d_c, b * H)
            a, d_a = at(work, b * H_padded), at(d_h, b * H_padded)

            for u in range(H):
                a[u] = c_t[u]
            activate(activation, a, H)  # a = φ(c_t)
            for u in range(H):
                d_h_t = d_a[u] + held[u]  # [EQ 17]
                held[u] = real(held[u], 0.0)
                d_o[u] = d_h_t * a[u]  # [EQ 7]
                d_a[u] = d_h_t * o[u]
            scale_by_derivative(activation, d_a, c_t, a, H)
            for u in range(H):
                d = d_c_t[u] + d_a[u]  # [EQ 8]
                d_i[u] = d * g[u]  # [EQ 9]
                d_f[u] = d * c_before[u]  # [EQ 9]
                d_g[u] = d * i[u]  # [EQ 9]
                d_c_t[u] = d * f[u]  # [EQ 11]
            z_t = at(z, step * 4 * H)
            scale_by_derivative(recurrent_activation, d_i, z_t, i, 2 * H)  # [EQ 10] i and f
            scale_by_derivative(activation, d_g, at(z_t, 2 * H), g, H)  # [EQ 10]
            scale_by_derivative(recurrent_activation, d_o, at(z_t, 3 * H), o, H)  # [EQ 10]

        for n in range(panel_count):  # [EQ 12] d_h_{t-1} = d_z Uᵀ
            unit = n * panel_width
            b = 0
            while b < B:
                rows = min(B - b, TILE_ROWS)
                d_h_new = at(work, b * H_padded + unit)
                for m in range(rows):
                    for u in range(panel_width):
                        d_h_new[m * H_padded + u] = real(d_h_new[u], 0.0)
                add_product_tile(
                    d_h_new, H_padded, L, at(d_z, (b * T + t) * z_width), T * z_width, 1,
                    at(panels, unit * 4 * H), panel_width, 4 * H, rows,
                )  # fmt: skip
                for m in range(rows):
                    if masked == 0 or mask[(b + m) * T + t] != 0:  # [EQ 18] else d_h stays
                        state = (b + m) * H_padded + unit
                        for v in range(PANEL_VECTORS):
                            copy_vector(d_h, state + v * L, work, state + v * L)
                b += rows
