"""The loops of the LSTM over time, forward and backward: twins of ``spec.cell`` and ``spec.lstm``.

Hidden units are taken a *panel* at a time: as many as fit one vector, L. The weights of a panel lie
packed as [K, 4, L], the columns of its i, f, g and o side by side, so that one tile of the product
holds all four gates of the same units and the cell update follows at once, while they are in the
nearest cache. States are padded to whole panels [B, H_padded]; what is in the padding is computed
like the rest and never read by anything real.
"""

from typing import Any

from lstm_ref.kernels.geometry import GROUP, NARROW_ROWS, PANEL_VECTORS, STEPS, TILE_ROWS
from lstm_ref.kernels.loops.activations import activate, scale_by_derivative
from lstm_ref.kernels.loops.packing import pack_part
from lstm_ref.kernels.loops.product import add_narrow_panel, add_product, add_wide_panel
from lstm_ref.kernels.loops.vector import (
    Buffer,
    Bytes,
    Size,
    at,
    copy_vector,
    fma,
    inlined,
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
    peepholes: Buffer,
    projection: Buffer,
    factors: Buffer,
    numbers: Buffer,
    xh: Buffer,
    h: Buffer,
    c: Buffer,
    q: Buffer,
    qR: Buffer,
    xW: Buffer,
    hs: Buffer,
    z_cache: Buffer,
    gates_cache: Buffer,
    B: Size,
    T: Size,
    D: Size,
    H: Size,
    P: Size,
    slots: Size,
    first_row: Size,
    end_row: Size,
    activation: Size,
    recurrent_activation: Size,
    output_activation: Size,
    copies: Size,
    dropped: Size,
    peephole: Size,
    clipped: Size,
    coupled: Size,
    projected: Size,
    projection_vectors: Size,
    masked: Size,
    zero_output: Size,
    keep_cache: Size,
    keep_z: Size,
) -> None:
    """All time steps of the rows from ``first_row`` to before ``end_row`` of a batch.

    x[copies,B,T,D]: one copy, or one for each gate, multiplied by its dropout factors already.
    mask[B,T], read when ``masked``. panels[H_padded/L, 1+D+P, 4, L], b above W above U;
    peepholes[H_padded/L, 3, L], of i, f, o, read when ``peephole``; projection, R in panels of
    ``projection_vectors``, read when ``projected``. factors[copies,B,P_padded], for h, read when
    ``dropped``. numbers: the α and β of σ, of φ and of the output's φ, and κ.

    The states of step t are in slot t + 1 of as many as there are, round and round: two, or T + 1,
    which are a cache then. The first slot holds the initial states already.
    xh[copies,slots,B,1+D+P_padded], rows of what goes into the gates: 1, whose weight is the bias
    (to the backward pass), x_t, and h_{t-1}. Where nothing is dropped, that is the hidden state
    itself; where something is, it is in h[slots,B,P_padded]. c[slots,B,H_padded]. hs[B,T,P].
    gates_cache[T,B,4H] is written when ``keep_cache``, z_cache[T,B,4H] when ``keep_z``.
    Scratch: q[B,H_padded] and qR, as wide as R's panels, when ``projected``; xW, for the x W of
    ``STEPS`` steps of ``TILE_ROWS`` rows.
    """
    L = lanes(xh)
    panel_width = PANEL_VECTORS * L
    panel_count = (H + L - 1) // L
    H_padded, P_padded = panel_count * L, (P + L - 1) // L * L
    K, to_h = D + P, 1 + D
    panel_size = (1 + K) * panel_width
    row_size = to_h + P_padded
    slot_size = B * row_size
    copy_size = slots * slot_size
    row_count = end_row - first_row
    group_size = GROUP // min(row_count, TILE_ROWS) if row_count else 1  # panels taken together
    group_count = (panel_count + group_size - 1) // group_size
    z = stack_vectors(xh, GATE_GROUP)  # [4, panels, rows, L]: z, then i, f, g, o in its place
    h_new = stack_vectors(xh, GROUP)  # [panels, rows, L]: φ(c_t), then o φ(c_t)
    c_new = stack_vectors(xh, GROUP)
    ahead = row_count < TILE_ROWS and copies == 1  # x W is taken for several steps at once
    z_size = panel_count * panel_width
    roles = (recurrent_activation, activation, output_activation)
    cell = (roles, peephole, clipped, coupled, H_padded)
    rules = (masked, zero_output, copies, dropped)

    for t in range(T):
        now, after = t % slots, (t + 1) % slots
        xh_t, h_next = at(xh, now * slot_size), at(xh, after * slot_size + to_h)
        c_t, c_next = at(c, now * B * H_padded), at(c, after * B * H_padded)
        if dropped:
            h_size = B * P_padded
            states = (at(h, now * h_size), at(h, after * h_size), P_padded)
        else:
            states = (at(xh_t, to_h), h_next, row_size)
        if not ahead or keep_cache:
            for copy in range(copies):
                for b in range(first_row, end_row):
                    row = at(xh_t, copy * copy_size + b * row_size)
                    row[0] = real(row[0], 1.0)
                    copy_numbers(at(row, 1), at(x, ((copy * B + b) * T + t) * D), D)
        if ahead:  # z begins as x_t W + b, and h_{t-1} U is added
            start, start_row, start_panel = at(xW, t % STEPS * z_size), STEPS * z_size, panel_width
            rows_t, terms, skipped = at(xh_t, to_h), P, to_h
            if t % STEPS == 0:
                steps = min(T - t, STEPS)
                multiply_inputs(xW, at(x, t * D), T * D, panels, first_row, end_row, steps, D, H, P)
        else:  # z begins as b, and (x_t, h_{t-1}) (W over U) is added
            start, start_row, start_panel = panels, 0, panel_size
            rows_t, terms, skipped = at(xh_t, 1), K, 1
        # There and back through the panels: each turn finds half a cache full of the last ones.
        odd = t % 2
        for group_turn in range(group_count):
            first = (group_count - 1 - group_turn if odd else group_turn) * group_size
            group = min(panel_count - first, group_size)
            weights = at(panels, first * panel_size + skipped * panel_width)
            for b in range(first_row, end_row, TILE_ROWS):
                rows = min(end_row - b, TILE_ROWS)
                count = group * rows * L
                where = (b, t, B, T, H, first * L, rows, group)

                for turn in range(group):  # [EQ 1] z = x_t W + h_{t-1} U + b
                    n = group - 1 - turn if odd else turn
                    z_n = at(z, n * rows * L)
                    start_n = at(start, b * start_row + (first + n) * start_panel)
                    for m in range(rows):
                        for v in range(PANEL_VECTORS):
                            copy_vector(z_n, v * count + m * L, start_n, m * start_row + v * L)
                    panel, rows_b = at(weights, n * panel_size), at(rows_t, b * row_size)
                    if copies == 1:
                        add_wide_panel(
                            z_n, L, count, rows_b, row_size, 1, panel, panel_width, terms, rows
                        )
                    else:  # [EQ 23] each gate sees x_t and h_{t-1} through factors of its own
                        for v in range(PANEL_VECTORS):
                            z_v, rows_v = at(z_n, v * count), at(rows_b, v * copy_size)
                            panel_v = at(panel, v * L)
                            add_narrow_panel(
                                z_v, L, rows_v, row_size, 1, panel_v, panel_width, terms, rows
                            )

                update_cell(z, h_new, c_new, c_t, peepholes, numbers, cell, z_cache, gates_cache,
                            mask, masked, keep_cache, keep_z, where)  # fmt: skip

                for n in range(group):
                    for m in range(rows):
                        step, unit, new = (b + m) * T + t, (first + n) * L, (n * rows + m) * L
                        c_at = (b + m) * H_padded + unit
                        if masked == 0 or mask[step] != 0:
                            copy_vector(c_next, c_at, c_new, new)
                        else:
                            copy_vector(c_next, c_at, c_t, c_at)  # [EQ 15]
                        if projected:
                            copy_vector(q, c_at, h_new, new)
                        else:
                            place = (b + m, t, B, T, unit, P, copy_size)
                            settle(
                                at(h_new, new), states, h_next, row_size, factors, hs, mask, rules,
                                place,
                            )  # fmt: skip

        if projected:  # [EQ 27] h_t = q_t R, once all of q_t is there
            width = projection_vectors * L
            qR_row = (P + width - 1) // width * width
            for k in range(first_row * qR_row, end_row * qR_row):
                qR[k] = real(qR[k], 0.0)
            add_product(
                qR, q, projection, first_row, end_row, H, qR_row // width, projection_vectors,
                qR_row, H_padded, 1, width, H * width,
            )  # fmt: skip
            for b in range(first_row, end_row):
                for unit in range(0, P, L):
                    place = (b, t, B, T, unit, P, copy_size)
                    settle(
                        at(qR, b * qR_row + unit), states, h_next, row_size, factors, hs, mask,
                        rules, place,
                    )  # fmt: skip


@inlined
def update_cell(
    z: Buffer,
    h_new: Buffer,
    c_new: Buffer,
    c: Buffer,
    peepholes: Buffer,
    numbers: Buffer,
    cell: Any,
    z_cache: Buffer,
    gates_cache: Buffer,
    mask: Bytes,
    masked: Size,
    keep_cache: Size,
    keep_z: Size,
    where: Any,
) -> None:
    """From z of a group of panels and rows to the gates, in its place, to c_t and to o φ(c_t)."""
    (σ, φ, φ_h), peephole, clipped, coupled, c_row = cell
    b, _, _, _, _, unit, rows, group = where
    σ_numbers, φ_numbers, φ_h_numbers, κ = numbers, at(numbers, 2), at(numbers, 4), numbers[6]
    L = lanes(z)
    count = group * rows * L
    i, f, g, o = z, at(z, count), at(z, 2 * count), at(z, 3 * count)

    if peephole:
        for n in range(group):
            p_i = at(peepholes, 3 * (unit + n * L))
            p_f = at(p_i, L)
            for m in range(rows):
                c_old = at(c, (b + m) * c_row + unit + n * L)
                for u in range(L):
                    k = (n * rows + m) * L + u
                    i[k] = fma(p_i[u], c_old[u], i[k])  # [EQ 24]
                    f[k] = fma(p_f[u], c_old[u], f[k])  # [EQ 24]
    if clipped:
        clip(z, 3 * count, κ)  # [EQ 25]
    if keep_z:
        store_gates(z_cache, z, 0, 3, mask, masked, where)
    if coupled:
        activate(σ, σ_numbers, i, count)  # [EQ 2]
        for k in range(count):
            f[k] = real(i[k], 1.0) - i[k]  # [EQ 26]
    else:
        activate(σ, σ_numbers, i, 2 * count)  # [EQ 2] i and f
    activate(φ, φ_numbers, g, count)  # [EQ 3]
    for n in range(group):
        for m in range(rows):
            c_old = at(c, (b + m) * c_row + unit + n * L)
            for u in range(L):
                k = (n * rows + m) * L + u
                c_new[k] = fma(f[k], c_old[u], i[k] * g[k])  # [EQ 4]
                h_new[k] = c_new[k]
    if peephole:
        for n in range(group):
            p_o = at(peepholes, 3 * (unit + n * L) + 2 * L)
            for m in range(rows):
                for u in range(L):
                    k = (n * rows + m) * L + u
                    o[k] = fma(p_o[u], c_new[k], o[k])  # [EQ 24]
    if clipped:
        clip(o, count, κ)  # [EQ 25]
    if keep_z:
        store_gates(z_cache, z, 3, 4, mask, masked, where)
    activate(σ, σ_numbers, o, count)  # [EQ 5]
    activate(φ_h, φ_h_numbers, h_new, count)
    for k in range(count):
        h_new[k] = o[k] * h_new[k]  # [EQ 6]
    if keep_cache:
        store_gates(gates_cache, z, 0, 4, mask, masked, where)


@inlined
def settle(
    h_new: Buffer,
    states: Any,
    h_next: Buffer,
    row_size: Size,
    factors: Buffer,
    hs: Buffer,
    mask: Bytes,
    rules: Any,
    place: Any,
) -> None:
    """A vector of one row's h_t finds its places: state, output, what the next step's gates see."""
    masked, zero_output, copies, dropped = rules
    b, t, B, T, unit, P, copy_size = place
    h_before, h_after, state_row = states
    step, state, width = b * T + t, b * state_row + unit, min(P - unit, lanes(h_new))
    y = at(hs, step * P + unit)
    if masked == 0 or mask[step] != 0:
        copy_vector(h_after, state, h_new, 0)
        copy_numbers(y, h_new, width)  # [EQ 16]
    else:
        copy_vector(h_after, state, h_before, state)  # [EQ 15]
        y_before = at(hs, max(step - 1, 0) * P + unit)  # not read at t = 0
        for u in range(width):  # [EQ 16]
            y[u] = real(y[u], 0.0) if zero_output or t == 0 else y_before[u]
    if dropped:
        for n in range(copies):
            seen = at(h_next, n * copy_size + b * row_size + unit)
            r = at(factors, n * B * state_row + state)
            for u in range(lanes(h_new)):
                seen[u] = r[u] * h_after[state + u]  # [EQ 23]


@loop
def clip(p: Buffer, count: Size, bound: Any) -> None:
    """p[n] kept within ±bound for n < count; NaN stays NaN."""
    for n in range(count):
        p[n] = -bound if p[n] < -bound else (bound if p[n] > bound else p[n])


@loop
def multiply_inputs(
    xW: Buffer,
    x: Buffer,
    x_row: Size,
    panels: Buffer,
    first_row: Size,
    end_row: Size,
    steps: Size,
    D: Size,
    H: Size,
    P: Size,
) -> None:
    """xW[b, t] = x_t W + b, in panels, for ``steps`` time steps of each of these rows."""
    L = lanes(xW)
    panel_width = PANEL_VECTORS * L
    panel_count = (H + L - 1) // L
    z_size = panel_count * panel_width
    for b in range(first_row, end_row):
        for t in range(0, steps, TILE_ROWS):
            rows = min(steps - t, TILE_ROWS)
            rows_t = at(x, b * x_row + t * D)
            for n in range(panel_count):
                z_n = at(xW, (b * STEPS + t) * z_size + n * panel_width)
                bias = at(panels, n * (1 + D + P) * panel_width)
                for m in range(rows):
                    for v in range(PANEL_VECTORS):
                        copy_vector(z_n, m * z_size + v * L, bias, v * L)
                W = at(bias, panel_width)
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
def store_gates(
    cache: Buffer, z: Buffer, start: Size, stop: Size, mask: Bytes, masked: Size, where: Any
) -> None:
    """Copy a group's z or gates, ``start`` to ``stop``, to cache[T,B,4H]; 0 at a masked step."""
    b, t, B, T, H, first_unit, rows, group = where
    L = lanes(z)
    for m in range(rows):
        row = (t * B + b + m) * PANEL_VECTORS
        if masked and mask[(b + m) * T + t] == 0:
            for n in range(group):
                for v in range(start, stop):
                    unit = first_unit + n * L
                    target = at(cache, (row + v) * H + unit)
                    for u in range(min(H - unit, L)):
                        target[u] = real(target[u], 0.0)
            continue
        for v in range(start, stop):
            for n in range(group):
                unit = first_unit + n * L
                source = at(z, ((v * group + n) * rows + m) * L)
                copy_numbers(at(cache, (row + v) * H + unit), source, min(H - unit, L))


@loop
def lstm_backward(
    d_hs: Buffer,
    mask: Bytes,
    recurrent_kernel: Buffer,
    panels: Buffer,
    peepholes: Buffer,
    projection: Buffer,
    factors: Buffer,
    numbers: Buffer,
    z: Buffer,
    gates: Buffer,
    c: Buffer,
    d_h: Buffer,
    d_c: Buffer,
    d_z: Buffer,
    d_h_all: Buffer,
    scratch: Buffer,
    B: Size,
    T: Size,
    H: Size,
    P: Size,
    first_row: Size,
    end_row: Size,
    activation: Size,
    recurrent_activation: Size,
    output_activation: Size,
    panel_vectors: Size,
    packed: Size,
    scratch_row: Size,
    copies: Size,
    dropped: Size,
    peephole: Size,
    clipped: Size,
    coupled: Size,
    projected: Size,
    projection_vectors: Size,
    masked: Size,
    zero_output: Size,
) -> None:
    """Backpropagation through time, down to d_z, for the rows from ``first_row`` to ``end_row``.

    The gradients of x and of the weights are products, taken afterwards.

    d_hs[B,T,P]; mask[B,T], read when ``masked``; panels, where Uᵀ is laid out with
    ``panel_vectors``, P_wide columns in all, or has been already when ``packed``; peepholes[3,H];
    projection, Rᵀ in panels of ``projection_vectors``;
    factors[copies,B,P_wide], for h, read when ``dropped``; numbers as in the forward pass; z and
    gates [T,B,4H], z read where a derivative needs it; c[T+1,B,H_padded], that of step t in slot
    t + 1.

    d_h[B,P_wide] and d_c[B,H], the gradients carried from step to step: those on the final state at
    first, on the initial state in the end. Written: d_z[T,B,4H padded to whole panels] and, when
    ``projected``, d_h_all[T,B,P], the gradient on each h_t. Scratch: B rows of ``scratch_row``, in
    which lie d_z Uᵀ of P_wide, d_q of H padded to the panels of Rᵀ, φ(c_t) of H, and of P what
    masked steps hand back.
    """
    L = lanes(d_h)
    panel_width = panel_vectors * L
    panel_count = (P + panel_width - 1) // panel_width
    P_wide = panel_count * panel_width
    tile_rows = TILE_ROWS if panel_vectors == PANEL_VECTORS else NARROW_ROWS
    H_padded = (H + L - 1) // L * L
    z_panel = PANEL_VECTORS * L
    z_width = (4 * H + z_panel - 1) // z_panel * z_panel
    q_panel = projection_vectors * L
    q_row = (H + q_panel - 1) // q_panel * q_panel
    roles = (recurrent_activation, activation, output_activation)
    cell = (roles, peephole, clipped, coupled)
    # Of a row side by side: apart by a power of two, they would wait for each other in the cache.
    d_q = at(scratch, P_wide)
    a = at(d_q, q_row)
    d_y = at(a, H)

    if packed == 0:
        layout = (panel_count, 4 * H, P, panel_width, 1)
        pack_part(panels, 0, layout, recurrent_kernel, 4 * H, 1, 4 * H)
    if masked:
        for b in range(first_row, end_row):
            for u in range(P):
                d_y[b * scratch_row + u] = real(d_y[0], 0.0)
    for t in range(T - 1, -1, -1):
        for b in range(first_row, end_row):
            step, row = b * T + t, t * B + b
            held = at(d_y, b * scratch_row)
            d_out, d_h_t = at(d_hs, step * P), at(d_h, b * P_wide)
            target = at(d_h_all, row * P) if projected else at(d_q, b * scratch_row)
            if masked == 0:
                for u in range(P):
                    target[u] = d_h_t[u] + d_out[u]  # [EQ 17]
                continue
            for u in range(P):
                held[u] += d_out[u]
            if mask[step] == 0:
                if zero_output:
                    for u in range(P):
                        held[u] = real(held[u], 0.0)  # [EQ 17]
                if projected:
                    for u in range(P):
                        target[u] = real(target[u], 0.0)
                continue
            for u in range(P):
                target[u] = d_h_t[u] + held[u]  # [EQ 17]
                held[u] = real(held[u], 0.0)
        if projected:  # [EQ 28] d_q = d_h_t Rᵀ
            for b in range(first_row, end_row):
                for u in range(q_row):
                    d_q[b * scratch_row + u] = real(d_q[0], 0.0)
            add_product(
                d_q, at(d_h_all, t * B * P), projection, first_row, end_row, P, q_row // q_panel,
                projection_vectors, scratch_row, P, 1, q_panel, P * q_panel,
            )  # fmt: skip

        for b in range(first_row, end_row):
            row = t * B + b
            d_z_t = at(d_z, row * z_width)
            real_step = masked == 0 or mask[b * T + t] != 0
            if real_step:
                cell_back(
                    at(d_q, b * scratch_row), at(d_c, b * H), d_z_t, at(gates, row * 4 * H),
                    at(z, row * 4 * H), at(c, (row + B) * H_padded), at(c, row * H_padded),
                    peepholes, numbers, at(a, b * scratch_row), H, cell,
                )  # fmt: skip
            for u in range(4 * H if real_step else 0, z_width):
                d_z_t[u] = real(d_z_t[u], 0.0)

        terms = 4 * H // copies
        for n in range(panel_count):  # [EQ 12] d_h_{t-1} = d_z Uᵀ
            unit = n * panel_width
            for b in range(first_row, end_row, tile_rows):
                rows = min(end_row - b, tile_rows)
                product = at(scratch, b * scratch_row + unit)
                for gate_n in range(copies):  # all gates at once, or one after the other
                    for m in range(rows):
                        for u in range(panel_width):
                            product[m * scratch_row + u] = real(product[u], 0.0)
                    first = gate_n * terms
                    d_z_b = at(d_z, (t * B + b) * z_width + first)
                    panel = at(panels, unit * 4 * H + first * panel_width)
                    if panel_vectors == PANEL_VECTORS:
                        add_wide_panel(
                            product, scratch_row, L, d_z_b, z_width, 1, panel, panel_width, terms,
                            rows,
                        )  # fmt: skip
                    else:
                        add_narrow_panel(
                            product, scratch_row, d_z_b, z_width, 1, panel, panel_width, terms, rows
                        )
                    for m in range(rows):
                        if masked and mask[(b + m) * T + t] == 0:
                            continue  # [EQ 18] d_h stays
                        state, row = (b + m) * P_wide + unit, m * scratch_row
                        if dropped:
                            r = at(factors, gate_n * B * P_wide + state)
                            for u in range(panel_width):
                                product[row + u] *= r[u]  # [EQ 32]
                        if gate_n == 0:
                            for v in range(panel_vectors):
                                copy_vector(d_h, state + v * L, product, row + v * L)  # [EQ 12]
                        else:
                            for u in range(panel_width):
                                d_h[state + u] += product[row + u]  # [EQ 32]


@inlined
def cell_back(
    d_q: Buffer,
    d_c: Buffer,
    d_z: Buffer,
    gates: Buffer,
    z: Buffer,
    c_t: Buffer,
    c_before: Buffer,
    peepholes: Buffer,
    numbers: Buffer,
    a: Buffer,
    H: Size,
    cell: Any,
) -> None:
    """One step back of one row: from d_q = ∂(o φ(c_t)), which is used up, and d_c to d_z and d_c.

    d_c[H] becomes the gradient on c_{t-1}. a[H] is scratch.
    """
    (σ, φ, φ_h), peephole, clipped, coupled = cell
    σ_numbers, φ_numbers, φ_h_numbers, κ = numbers, at(numbers, 2), at(numbers, 4), numbers[6]
    i, f, g, o = gates, at(gates, H), at(gates, 2 * H), at(gates, 3 * H)
    z_g, z_o = at(z, 2 * H), at(z, 3 * H)
    d_i, d_f, d_g, d_o = d_z, at(d_z, H), at(d_z, 2 * H), at(d_z, 3 * H)

    for u in range(H):
        a[u] = c_t[u]
    activate(φ_h, φ_h_numbers, a, H)  # a = φ(c_t)
    for u in range(H):
        d_o[u] = d_q[u] * a[u]  # [EQ 7]
        d_q[u] = d_q[u] * o[u]
    scale_by_derivative(φ_h, φ_h_numbers, d_q, c_t, a, H)
    scale_by_derivative(σ, σ_numbers, d_o, z_o, o, H)  # [EQ 10]
    if clipped:
        stop_at(z_o, H, κ, d_o)  # [EQ 30]
    if peephole:
        p_o = at(peepholes, 2 * H)
        for u in range(H):
            d_c[u] = fma(d_o[u], p_o[u], d_c[u])  # [EQ 31]
    for u in range(H):
        d = d_c[u] + d_q[u]  # [EQ 8]
        d_i[u] = d * g[u]  # [EQ 9]
        d_f[u] = d * c_before[u]  # [EQ 9]
        d_g[u] = d * i[u]  # [EQ 9]
        d_c[u] = d * f[u]  # [EQ 11]
    if coupled:
        for u in range(H):
            d_i[u] -= d_f[u]  # [EQ 29]
            d_f[u] = real(d_f[u], 0.0)  # [EQ 29]
    scale_by_derivative(σ, σ_numbers, d_i, z, i, H if coupled else 2 * H)  # [EQ 10] and d_f
    scale_by_derivative(φ, φ_numbers, d_g, z_g, g, H)  # [EQ 10]
    if clipped:
        stop_at(z, 3 * H, κ, d_z)  # [EQ 30]
    if peephole:
        p_i, p_f = peepholes, at(peepholes, H)
        for u in range(H):
            d = fma(d_i[u], p_i[u], d_c[u])  # [EQ 31]
            d_c[u] = fma(d_f[u], p_f[u], d)  # [EQ 31]


@loop
def stop_at(z: Buffer, count: Size, bound: Any, d_z: Buffer) -> None:
    """d_z[n] = 0 where z[n] was clipped, for n < count."""
    for n in range(count):
        d_z[n] = d_z[n] if abs(z[n]) < bound else real(d_z[n], 0.0)
