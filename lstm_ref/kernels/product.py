"""Matrix products by the register tile, on NumPy arrays."""

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.kernels import memory, runtime
from lstm_ref.kernels.geometry import PANEL_VECTORS, TILE_ROWS
from lstm_ref.kernels.packing import column_panels, lanes, padded, panel_vectors
from lstm_ref.threads import shares


def product(A: Array, B: Array, start: Array | None = None) -> Array:
    """A[M,K] · B[K,N], plus ``start``[N] in every row. Contiguous [M,N].

    A may have more columns than K; they are not looked at.
    """
    M, a_row = A.shape
    K, N = B.shape
    vectors = panel_vectors(N, lanes(A), M)
    P = column_panels(B, vectors)
    panels, _, width = P.shape
    C = memory.empty((M, panels * width), A.dtype)
    first = np.zeros(panels * width, A.dtype)
    if start is not None:
        first[:N] = start
    C[...] = first
    runtime.kernel("add_product", A.dtype).over_rows(
        shares(M, TILE_ROWS, 2.0 * M * K * N),
        C=C, A=np.ascontiguousarray(A), P=P, K=K, panels=panels, vectors=vectors,
        c_row=panels * width, a_row=a_row, a_k=1, p_row=width, p_panel=K * width,
    )  # fmt: skip
    return C if C.shape[1] == N else np.ascontiguousarray(C[:, :N])


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
