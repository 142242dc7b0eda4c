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
tile_8x1, tile_4x1, tile_1x1 = (make_tile(rows, 1) for rows in (8, 4, 1))


@loop
def add_product_tile(
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
    m = 0
    if rows >= 6:
        tile_6x4(C, c_row, c_vector, A, a_row, a_k, P, p_row, K)
        m += 6
    if rows - m >= 4:
        tile_4x4(at(C, m * c_row), c_row, c_vector, at(A, m * a_row), a_row, a_k, P, p_row, K)
        m += 4
    if rows - m >= 2:
        tile_2x4(at(C, m * c_row), c_row, c_vector, at(A, m * a_row), a_row, a_k, P, p_row, K)
        m += 2
    if rows - m >= 1:
        tile_1x4(at(C, m * c_row), c_row, c_vector, at(A, m * a_row), a_row, a_k, P, p_row, K)


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
    for k in range(0, K, K_BLOCK):
        terms = min(K - k, K_BLOCK)
        for n in range(panels):
            panel = at(P, n * p_panel + k * p_row)
            m = 0
            while m < rows:
                c = at(C, m * c_row + n * vectors * L)
                a = at(A, m * a_row + k * a_k)
                left = rows - m
                if vectors == PANEL_VECTORS:
                    step = min(left, TILE_ROWS)
                    add_product_tile(c, c_row, L, a, a_row, a_k, panel, p_row, terms, step)
                    m += step
                elif left >= 8:
                    tile_8x1(c, c_row, L, a, a_row, a_k, panel, p_row, terms)
                    m += 8
                elif left >= 4:
                    tile_4x1(c, c_row, L, a, a_row, a_k, panel, p_row, terms)
                    m += 4
                else:
                    tile_1x1(c, c_row, L, a, a_row, a_k, panel, p_row, terms)
                    m += 1
