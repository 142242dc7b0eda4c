"""Matrix products by the register tile, on NumPy arrays."""

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.kernels import memory, runtime
from lstm_ref.kernels.geometry import PANEL_VECTORS, TILE_ROWS
from lstm_ref.kernels.packing import as_stored, lanes, padded, panel_vectors, panels_of_a_call
from lstm_ref.threads import shares


def product(A: Array, B: Array, start: Array | None = None) -> Array:
    """A[M,K] · B[K,N], plus ``start``[N] in every row. Contiguous [M,N].

    A may have more columns than K; they are not looked at.
    """
    M, a_row = A.shape
    K, N = B.shape
    dtype = A.dtype
    vectors = panel_vectors(N, lanes(A), M)
    width = padded(N, vectors * lanes(A))
    C = memory.empty((M, width), dtype)
    blocks = shares(M, TILE_ROWS, 2.0 * M * K * N)
    P, packed = panels_of_a_call(B, vectors, blocks)
    numbers, (b_row, b_column) = as_stored(B)
    runtime.kernel("multiply", dtype).over_rows(
        blocks,
        C=C,
        A=np.ascontiguousarray(A),
        B=numbers,
        P=P,
        start=np.zeros(N, dtype) if start is None else np.ascontiguousarray(start),
        K=K,
        N=N,
        b_row=b_row,
        b_column=b_column,
        vectors=vectors,
        a_row=a_row,
        packed=int(packed),
    )
    return C if width == N else np.ascontiguousarray(C[:, :N])


def pad_columns(array: Array) -> tuple[Array, int]:
    """(array[N,C] with its rows padded to whole panels, vectors in a panel)."""
    N, columns = array.shape
    vectors = panel_vectors(columns, lanes(array))
    whole = np.zeros((N, padded(columns, vectors * lanes(array))), array.dtype)
    whole[:, :columns] = array
    return whole, vectors


def sum_of_outer_products(
    A: Array, B: Array, columns: int, vectors: int = PANEL_VECTORS, rows: int | None = None
) -> Array:
    """Aᵀ[K,N] · B[N,width], of which ``columns`` are kept: Σ over rows n of A[n]ᵀ B[n].

    The rows of B are whole panels of ``vectors`` (see ``pad_columns``). Of A, ``rows`` columns are
    taken, all when None. The sum runs in the order of n, so its bits depend on nothing else.
    """
    (N, a_k), width = A.shape, B.shape[1]
    K = a_k if rows is None else rows
    C = memory.zeros((K, width), A.dtype)
    runtime.kernel("add_product", A.dtype).over_rows(
        shares(K, TILE_ROWS, 2.0 * N * K * columns),
        C=C, A=np.ascontiguousarray(A), P=B, K=N, panels=width // (vectors * lanes(A)),
        vectors=vectors, c_row=width, a_row=1, a_k=a_k, p_row=width, p_panel=vectors * lanes(A),
    )  # fmt: skip
    return np.ascontiguousarray(C[:, :columns])


def sum_of_rows(B: Array, columns: int, vectors: int = PANEL_VECTORS) -> Array:
    """Σ over rows n of B[n]: the outer products with 1."""
    ones = np.ones((len(B), 1), B.dtype)
    row: Array = sum_of_outer_products(ones, B, columns, vectors)[0]
    return row
