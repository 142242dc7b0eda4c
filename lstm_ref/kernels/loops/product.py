"""The matrix product, from one small block that stays in registers.

Everything an LSTM multiplies goes through here: x W and h U, their transposes on the way back, and
the sums over time that make the gradients of the weights. A *tile* is ``rows`` × ``vectors``
accumulators; each number in it is one chain of fused multiply-adds in the order of k, whatever the
tile's size. That is why a row computed alone has the same bits as in any batch.
"""

from typing import Any

from lstm_ref.kernels.geometry import K_BLOCK, NARROW_ROWS, PANEL_VECTORS, TILE_ROWS
from lstm_ref.kernels.loops.packing import pack_part
from lstm_ref.kernels.loops.vector import (
    Buffer,
    Size,
    at,
    copy_vector,
    fma_vector,
    lanes,
    loop,
    real,
    stack_vectors,
)


def make_tile(rows: int, vectors: int) -> Any:
    """The tile of that size, as a compiled function."""
    accumulators = rows * vectors

    @loop
    def tile(
        C: Buffer,
        c_row: Size,
        c_vector: Size,
        A: Buffer,
        a_row: Size,
        a_k: Size,
        P: Buffer,
        p_row: Size,
        K: Size,
    ) -> None:
        """C[m, v] += Σ_k A[m, k] · P[k, v] for a tile of rows m and vectors v."""
        L = lanes(C)
        total = stack_vectors(C, accumulators)
        for m in range(rows):
            for v in range(vectors):
                copy_vector(total, (m * vectors + v) * L, C, m * c_row + v * c_vector)
        for k in range(K):
            for m in range(rows):
                s = A[m * a_row + k * a_k]
                for v in range(vectors):
                    fma_vector(total, (m * vectors + v) * L, s, P, k * p_row + v * L)
        for m in range(rows):
            for v in range(vectors):
                copy_vector(C, m * c_row + v * c_vector, total, (m * vectors + v) * L)

    return tile


tile_6x4, tile_4x4, tile_2x4, tile_1x4 = (make_tile(rows, PANEL_VECTORS) for rows in (6, 4, 2, 1))
tile_8x1, tile_4x1, tile_1x1 = (make_tile(rows, 1) for rows in (NARROW_ROWS, 4, 1))


@loop
def add_wide_panel(
    C: Buffer,
    c_row: Size,
    c_vector: Size,
    A: Buffer,
    a_row: Size,
    a_k: Size,
    P: Buffer,
    p_row: Size,
    K: Size,
    rows: Size,
) -> None:
    """C += A P for up to ``TILE_ROWS`` rows and one wide panel."""
    if rows == TILE_ROWS:
        tile_6x4(C, c_row, c_vector, A, a_row, a_k, P, p_row, K)
        return
    c, a, left = C, A, rows
    if left >= 4:
        tile_4x4(c, c_row, c_vector, a, a_row, a_k, P, p_row, K)
        c, a, left = at(c, 4 * c_row), at(a, 4 * a_row), left - 4
    if left >= 2:
        tile_2x4(c, c_row, c_vector, a, a_row, a_k, P, p_row, K)
        c, a, left = at(c, 2 * c_row), at(a, 2 * a_row), left - 2
    if left >= 1:
        tile_1x4(c, c_row, c_vector, a, a_row, a_k, P, p_row, K)


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
    while left >= NARROW_ROWS:
        tile_8x1(c, c_row, c_row, a, a_row, a_k, P, p_row, K)
        c, a, left = at(c, NARROW_ROWS * c_row), at(a, NARROW_ROWS * a_row), left - NARROW_ROWS
    while left >= 4:
        tile_4x1(c, c_row, c_row, a, a_row, a_k, P, p_row, K)
        c, a, left = at(c, 4 * c_row), at(a, 4 * a_row), left - 4
    while left >= 1:
        tile_1x1(c, c_row, c_row, a, a_row, a_k, P, p_row, K)
        c, a, left = at(c, c_row), at(a, a_row), left - 1


@loop
def add_product(
    C: Buffer,
    A: Buffer,
    P: Buffer,
    first_row: Size,
    end_row: Size,
    K: Size,
    panels: Size,
    vectors: Size,
    c_row: Size,
    a_row: Size,
    a_k: Size,
    p_row: Size,
    p_panel: Size,
) -> None:
    """C[m, panels·vectors·lanes] += A[m, K] · P for the rows m from ``first_row`` to ``end_row``.

    A[m, k] is at ``m·a_row + k·a_k``, so A may be transposed.
    P[k, ·] of panel n is at ``n·p_panel + k·p_row``: packed panels, or a plain matrix whose rows
    are whole panels. ``vectors`` in a panel is 4, or 1 for narrow results.
    """
    L = lanes(C)
    for k in range(0, K, K_BLOCK):
        terms = min(K - k, K_BLOCK)
        for n in range(panels):
            p = at(P, n * p_panel + k * p_row)
            c, a = at(C, n * vectors * L), at(A, k * a_k)
            if vectors == PANEL_VECTORS:
                for m in range(first_row, end_row, TILE_ROWS):
                    block = min(end_row - m, TILE_ROWS)
                    c_m, a_m = at(c, m * c_row), at(a, m * a_row)
                    add_wide_panel(c_m, c_row, L, a_m, a_row, a_k, p, p_row, terms, block)
            else:
                c_m, a_m = at(c, first_row * c_row), at(a, first_row * a_row)
                rows = end_row - first_row
                add_narrow_panel(c_m, c_row, a_m, a_row, a_k, p, p_row, terms, rows)


@loop
def multiply(
    C: Buffer,
    A: Buffer,
    B: Buffer,
    P: Buffer,
    start: Buffer,
    K: Size,
    N: Size,
    b_row: Size,
    b_column: Size,
    vectors: Size,
    a_row: Size,
    packed: Size,
    first_row: Size,
    end_row: Size,
) -> None:
    """C[m, N padded to whole panels] = start[N] + A[m, K] · B[K, N] for these rows.

    B[k, n] is at ``k·b_row + n·b_column``. P is where it is laid out in panels of so many
    ``vectors``, or has been already when ``packed``.
    """
    width = vectors * lanes(C)
    panels = (N + width - 1) // width
    c_row = panels * width
    if not packed:
        pack_part(P, 0, (panels, K, N, width, 1), B, K, b_row, b_column)
    for m in range(first_row, end_row):
        for n in range(N):
            C[m * c_row + n] = start[n]
        for n in range(N, c_row):
            C[m * c_row + n] = real(C[0], 0.0)
    add_product(C, A, P, first_row, end_row, K, panels, vectors, c_row, a_row, 1, width, K * width)
