"""The loops of the LSTM over time, forward and backward: twins of ``spec.cell`` and ``spec.lstm``.

Hidden units are taken a *panel* at a time: as many as fit one vector, L. The weights of a panel lie
packed as [K, 4, L], the columns of its i, f, g and o side by side, so that one tile of the product
holds all four gates of the same units and the cell update follows at once, while they are in the
nearest cache. States are padded to whole panels [B, H_padded]; what is in the padding is computed
like the rest and never read by anything real.
"""

from typing import Any

from lstm_ref.kernels.geometry import GROUP, PANEL_VECTORS, STEPS, TILE_ROWS
from lstm_ref.kernels.loops.activations import activate, scale_by_derivative
from lstm_ref.kernels.loops.product import add_wide_panel
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

GATE_GROUP = PANEL_VECTORS * GROUP


@loop
def lstm_forward(
    x: Buffer,
    mask: Bytes,
    panels: Buffer,
    bias: Buffer,
    xh: Buffer,
    c: Buffer,
    xW: Buffer,
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

    x[B,T,D]; mask[B,T], read when ``masked``; panels[H_padded/L, D+H, 4, L], W above U; bias
    [H_padded/L, 4, L] likewise; xh[2,B,D+H_padded], rows of x_t followed by h_{t-1}, for even and
    for odd steps, with h0 in the first; c[B,H_padded], updated in place; xW, scratch for the x W of
    ``STEPS`` steps of ``TILE_ROWS`` rows; hs[B,T,H]. The caches, [B,T,4H], [B,T,4H], [B,T,H],
    [B,T,H], are written when ``keep_cache``.
    """
    L = lanes(xh)
    panel_width = PANEL_VECTORS * L
    panel_count = (H + L - 1) // L
    H_padded = panel_count * L
    K = D + H
    panel_size = K * panel_width
    row_size = D + H_padded
    group_size = GROUP // min(B, TILE_ROWS) if B else 1  # panels taken together
    group_count = (panel_count + group_size - 1) // group_size
    z = stack_vectors(xh, GATE_GROUP)  # [4, panels, rows, L]: z, then i, f, g, o in its place
    h_new = stack_vectors(xh, GROUP)  # [panels, rows, L]: φ(c_t), then h_t
    c_new = stack_vectors(xh, GROUP)
    ahead = B < TILE_ROWS  # x W is taken for several steps at once
    z_size = panel_count * panel_width

    for t in range(T):
        xh_t = at(xh, (t % 2) * B * row_size)  # the two halves of xh take turns
        h_before, h_after = at(xh_t, D), at(xh, (1 - t % 2) * B * row_size + D)
        if ahead:  # z begins as x_t W + b, and h_{t-1} U is added
            start, start_row = at(xW, t % STEPS * z_size), STEPS * z_size
            rows_t, terms, skipped = h_before, H, D
            if t % STEPS == 0:
                steps = min(T - t, STEPS)
                multiply_inputs(xW, at(x, t * D), T * D, panels, bias, B, steps, D, H)
        else:  # z begins as b, and (x_t, h_{t-1}) (W over U) is added
            start, start_row = bias, 0
            rows_t, terms, skipped = xh_t, K, 0
            for b in range(B):
                copy_numbers(at(xh_t, b * row_size), at(x, (b * T + t) * D), D)
        # There and back through the panels: each turn finds half a cache full of the last ones.
        odd = t % 2
        for group_turn in range(group_count):
            first = (group_count - 1 - group_turn if odd else group_turn) * group_size
            group = min(panel_count - first, group_size)
            P = at(panels, first * panel_size + skipped * panel_width)
            for b in range(0, B, TILE_ROWS):
                rows = min(B - b, TILE_ROWS)
                count = group * rows * L
                i, f, g, o = z, at(z, count), at(z, 2 * count), at(z, 3 * count)
                where = (b, t, T, H, first * L, rows, group)

                for turn in range(group):  # [EQ 1] z = x_t W + h_{t-1} U + b
                    n = group - 1 - turn if odd else turn
                    z_n = at(z, n * rows * L)
                    start_n = at(start, b * start_row + (first + n) * panel_width)
                    for m in range(rows):
                        for v in range(PANEL_VECTORS):
                            copy_vector(z_n, v * count + m * L, start_n, m * start_row + v * L)
                    panel, rows_b = at(P, n * panel_size), at(rows_t, b * row_size)
                    add_wide_panel(
                        z_n, L, count, rows_b, row_size, 1, panel, panel_width, terms, rows
                    )
                if keep_cache:
                    store_gates(z_cache, z, mask, masked, where)

                activate(recurrent_activation, i, 2 * count)  # [EQ 2] i and f lie side by side
                activate(activation, g, count)  # [EQ 3]
                for n in range(group):
                    for m in range(rows):
                        c_old = at(c, (b + m) * H_padded + (first + n) * L)
                        for u in range(L):
                            k = (n * rows + m) * L + u
                            c_new[k] = fma(f[k], c_old[u], i[k] * g[k])  # [EQ 4]
                            h_new[k] = c_new[k]
                activate(recurrent_activation, o, count)  # [EQ 5]
                activate(activation, h_new, count)
                for k in range(count):
                    h_new[k] = o[k] * h_new[k]  # [EQ 6]
                if keep_cache:
                    store_gates(gates_cache, z, mask, masked, where)

                for n in range(group):
                    for m in range(rows):
                        step = (b + m) * T + t
                        unit = (first + n) * L
                        h_at, c_at = (b + m) * row_size + unit, (b + m) * H_padded + unit
                        y = at(hs, step * H + unit)
                        width = min(H - unit, L)  # units of this panel that are real
                        if masked == 0 or mask[step] != 0:
                            new = (n * rows + m) * L
                            copy_vector(h_after, h_at, h_new, new)
                            copy_vector(c, c_at, c_new, new)
                            copy_numbers(y, at(h_new, new), width)  # [EQ 16]
                        else:
                            copy_vector(h_after, h_at, h_before, h_at)  # [EQ 15] and c stays
                            y_before = at(hs, max(step - 1, 0) * H + unit)  # not read at t = 0
                            for u in range(width):  # [EQ 16]
                                y[u] = real(y[u], 0.0) if zero_output or t == 0 else y_before[u]
                        if keep_cache:
                            copy_numbers(at(h_cache, step * H + unit), at(h_after, h_at), width)
                            copy_numbers(at(c_cache, step * H + unit), at(c, c_at), width)


@loop
def multiply_inputs(
    xW: Buffer,
    x: Buffer,
    x_row: Size,
    panels: Buffer,
    bias: Buffer,
    B: Size,
    steps: Size,
    D: Size,
    H: Size,
) -> None:
    """xW[b, t] = x_t W + b, in panels, for ``steps`` time steps of every row."""
    L = lanes(xW)
    panel_width = PANEL_VECTORS * L
    panel_count = (H + L - 1) // L
    z_size = panel_count * panel_width
    for b in range(B):
        for t in range(0, steps, TILE_ROWS):
            rows = min(steps - t, TILE_ROWS)
            rows_t = at(x, b * x_row + t * D)
            for n in range(panel_count):
                z_n = at(xW, (b * STEPS + t) * z_size + n * panel_width)
                for m in range(rows):
                    for v in range(PANEL_VECTORS):
                        copy_vector(z_n, m * z_size + v * L, bias, n * panel_width + v * L)
                W = at(panels, n * (D + H) * panel_width)
                add_wide_panel(z_n, z_size, L, rows_t, D, 1, W, panel_width, D, rows)


@loop
def copy_numbers(target: Buffer, source: Buffer, count: Size) -> None:
    """target[n] = source[n] for n < count; a whole vector at once when it is one."""
    if count == lanes(target):
        copy_vector(target, 0, source, 0)
    else:
        for n in range(count):
            target[n] = source[n]


@loop
def store_gates(cache: Buffer, z: Buffer, mask: Bytes, masked: Size, where: Any) -> None:
    """Copy a group's z or gates into cache[B,T,4H]; zeros where the step is masked."""
    b, t, T, H, first_unit, rows, group = where
    L = lanes(z)
    for m in range(rows):
        step = (b + m) * T + t
        if masked and mask[step] == 0:
            for n in range(group):
                for v in range(PANEL_VECTORS):
                    unit = first_unit + n * L
                    target = at(cache, (step * PANEL_VECTORS + v) * H + unit)
                    for u in range(min(H - unit, L)):
                        target[u] = real(target[u], 0.0)
            continue
        for v in range(PANEL_VECTORS):
            for n in range(group):
                unit = first_unit + n * L
                source = at(z, ((v * group + n) * rows + m) * L)
                target = at(cache, (step * PANEL_VECTORS + v) * H + unit)
                copy_numbers(target, source, min(H - unit, L))


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
            for b in range(0, B, TILE_ROWS):
                rows = min(B - b, TILE_ROWS)
                d_h_new = at(work, b * H_padded + unit)
                for m in range(rows):
                    for u in range(panel_width):
                        d_h_new[m * H_padded + u] = real(d_h_new[u], 0.0)
                d_z_b, U_n = at(d_z, (b * T + t) * z_width), at(panels, unit * 4 * H)
                add_wide_panel(
                    d_h_new, H_padded, L, d_z_b, T * z_width, 1, U_n, panel_width, 4 * H, rows
                )
                for m in range(rows):
                    if masked == 0 or mask[(b + m) * T + t] != 0:  # [EQ 18] else d_h stays
                        state = (b + m) * H_padded + unit
                        for v in range(PANEL_VECTORS):
                            copy_vector(d_h, state + v * L, work, state + v * L)
