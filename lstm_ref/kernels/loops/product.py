"""The matrix product, from one small block that stays in registers.

Everything an LSTM multiplies goes through here: x W and h U, their transposes on the way back, and
the sums over time that make the gradients of the weights. A *tile* is ``rows`` × ``vectors``
accumulators; each number in it is one chain of fused multiply-adds in the order of k, whatever the
tile's size. That is why a row computed alone has the same bits as in any batch.
"""

from typing import Any

from lstm_ref.kernels.loops.vector import (
    Buffer,
    Size,
    at,
    copy_vector,
    fma_vector,
    lanes,
    loop,
    stack_vectors,
)

PANEL_VECTORS = 4
"""Vectors side by side in a wide panel: for an LSTM, one of each gate of the same units."""

TILE_ROWS = 6
"""Rows of the largest tile on a wide panel: 24 accumulators of the processor's 32 registers."""

K_BLOCK = 256
"""How many terms of a long sum are taken before moving on, so that a panel stays in the cache."""


def make_tile(rows: int, vectors: int, panels: int = 1) -> Any:
    """The tile of that size, as a compiled function; ``panels`` are taken at the same time."""
    accumulators = panels * rows * vectors

    @loop
    def tile(
        C: Buffer,
        c_row: Size,
        c_vector: Size,
        c_panel: Size,
        A: Buffer,
        a_row: Size,
        a_k: Size,
        P: Buffer,
        p_row: Size,
        p_panel: Size,
        K: Size,
    ) -> None:
        """C[n, m, v] += Σ_k A[m, k] · P[n, k, v] for panels n, rows m and vectors v."""
        L = lanes(C)
        total = stack_vectors(C, accumulators)
        for n in range(panels):
            for m in range(rows):
                for v in range(vectors):
                    from_C = n * c_panel + m * c_row + v * c_vector
                    copy_vector(total, ((n * rows + m) * vectors + v) * L, C, from_C)
        for k in range(K):
            for m in range(rows):
                s = A[m * a_row + k * a_k]
                for n in range(panels):
                    for v in range(vectors):
                        factor = n * p_panel + k * p_row + v * L
                        fma_vector(total, ((n * rows + m) * vectors + v) * L, s, P, factor)
        for n in range(panels):
            for m in range(rows):
                for v in range(vectors):
                    to_C = n * c_panel + m * c_row + v * c_vector
                    copy_vector(C, to_C, total, ((n * rows + m) * vectors + v) * L)

    return tile


tile_6x4, tile_4x4, tile_2x4, tile_1x4 = (make_tile(rows, PANEL_VECTORS) for rows in (6, 4, 2, 1))
tile_8x1, tile_4x1, tile_1x1 = (make_tile(rows, 1) for rows in (8, 4, 1))
tile_1x4_twice = make_tile(1, PANEL_VECTORS, panels=2)
"""One row has too few chains of additions to keep the processor busy; two panels have enough."""


@loop
def add_panels(
    C: Buffer,
    c_row: Size,
    c_vector: Size,
    c_panel: Size,
    A: Buffer,
    a_row: Size,
    a_k: Size,
    P: Buffer,
    p_row: Size,
    p_panel: Size,
    K: Size,
    rows: Size,
    panels: Size,
) -> None:
    """C += A P for up to ``TILE_ROWS`` rows and any number of wide panels."""
    n = 0
    while n < panels:
        c, p = at(C, n * c_panel), at(P, n * p_panel)
        if rows == 1 and panels - n >= 2:
            tile_1x4_twice(c, c_row, c_vector, c_panel, A, a_row, a_k, p, p_row, p_panel, K)
            n += 2
            continue
        n += 1
        a, left = A, rows
        if left >= 6:
            tile_6x4(c, c_row, c_vector, c_panel, a, a_row, a_k, p, p_row, p_panel, K)
            c, a, left = at(c, 6 * c_row), at(a, 6 * a_row), left - 6
        if left >= 4:
            tile_4x4(c, c_row, c_vector, c_panel, a, a_row, a_k, p, p_row, p_panel, K)
            c, a, left = at(c, 4 * c_row), at(a, 4 * a_row), left - 4
        if left >= 2:
            tile_2x4(c, c_row, c_vector, c_panel, a, a_row, a_k, p, p_row, p_panel, K)
            c, a, left = at(c, 2 * c_row), at(a, 2 * a_row), left - 2
        if left >= 1:
            tile_1x4(c, c_row, c_vector, c_panel, a, a_row, a_k, p, p_row, p_panel, K)


@loop
def add_narrow_panel(
    C: Buffer,
    c_row: Size,
    A: Buffer,
    a_row: Size,
    a_k: Size,
    P: Buffer,
    p_row: Size,
    K: Size,
    rows: Size,
) -> None:
    """C += A P for any number of rows and one panel a single vector wide."""
    c, a, left = C, A, rows
    while left >= 8:
        tile_8x1(c, c_row, c_row, c_row, a, a_row, a_k, P, p_row, p_row, K)
        c, a, left = at(c, 8 * c_row), at(a, 8 * a_row), left - 8
    while left >= 4:
        tile_4x1(c, c_row, c_row, c_row, a, a_row, a_k, P, p_row, p_row, K)
        c, a, left = at(c, 4 * c_row), at(a, 4 * a_row), left - 4
    while left >= 1:
        tile_1x1(c, c_row, c_row, c_row, a, a_row, a_k, P, p_row, p_row, K)
        c, a, left = at(c, c_row), at(a, a_row), left - 1


@loop
def add_product(
    C: Buffer,
    A: Buffer,
    P: Buffer,
    rows: Size,
    K: Size,
    panels: Size,
    vectors: Size,
    c_row: Size,
    a_row: Size,
    a_k: Size,
    p_row: Size,
    p_panel: Size,
) -> None:
    """C[rows, panels·vectors·lanes] += A[rows, K] · P.

    A[m, k] is at ``m·a_row + k·a_k``, so A may be transposed, or one number used for all.
    P[k, ·] of panel n is at ``n·p_panel + k·p_row``: packed panels, or a plain matrix whose rows
    are whole panels. ``vectors`` in a panel is 4, or 1 for narrow results.
    """
    L = lanes(C)
    one = panels - panels + 1
    for k in range(0, K, K_BLOCK):
        terms = min(K - k, K_BLOCK)
        for n in range(panels):
            p = at(P, n * p_panel + k * p_row)
            c, a = at(C, n * vectors * L), at(A, k * a_k)
            if vectors == PANEL_VECTORS:
                for m in range(0, rows, TILE_ROWS):
                    tile_rows = min(rows - m, TILE_ROWS)
                    c_m, a_m = at(c, m * c_row), at(a, m * a_row)
                    add_panels(
                        c_m, c_row, L, L, a_m, a_row, a_k, p, p_row, p_row, terms, tile_rows, one
                    )
            else:
                add_narrow_panel(c, c_row, a, a_row, a_k, p, p_row, terms, rows)
