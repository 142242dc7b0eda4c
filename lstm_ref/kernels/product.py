"""Matrix products by the register tile, on NumPy arrays."""

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.kernels import runtime
from lstm_ref.kernels.geometry import PANEL_VECTORS
from lstm_ref.kernels.packing import column_panels, lanes, padded, panel_vectors


def product(A: Array, B: Array, start: Array | None = None) -> Array:
    """A[M,K] · B[K,N], plus ``start``[N] in every row. Contiguous [M,N]."""
    M, K = A.shape
    N = B.shape[1]
    vectors = panel_vectors(N, lanes(A))
    P = column_panels(B, vectors)
    panels, _, width = P.shape
    C = np.zeros((M, panels * width), A.dtype)
    if start is not None:
        C[:, :N] = start
    runtime.kernel("add_product", A.dtype)(
        C=C, A=np.ascontiguousarray(A), P=P, rows=M, K=K, panels=panels, vectors=vectors,
        c_row=panels * width, a_row=K, a_k=1, p_row=width, p_panel=K * width,
    )  # fmt: skip
    return C if C.shape[1] == N else np.ascontiguousarray(C[:, :N])


def pad_columns(array: Array) -> tuple[Array, int]:
    """(array[N,C] with its rows padded to whole panels, vectors in a panel)."""
    N, columns = array.shape
    vectors = panel_vectors(columns, lanes(array))
    whole = np.zeros((N, padded(columns, vectors * lanes(array))), array.dtype)
    whole[:, :columns] = array
    return whole, vectors


def sum_of_outer_products(A: Array, B: Array, columns: int, vectors: int = PANEL_VECTORS) -> Array:
    """Aᵀ[K,N] · B[N,width], of which ``columns`` are kept: Σ over rows n of A[n]ᵀ B[n].

    The rows of B are whole panels of ``vectors`` (see ``pad_columns``). The sum runs in the order
    of n, so its bits depend on nothing else.
    """
    (N, K), width = A.shape, B.shape[1]
    C = np.zeros((K, width), A.dtype)
    runtime.kernel("add_product", A.dtype)(
        C=C, A=np.ascontiguousarray(A), P=B, rows=K, K=N, panels=width // (vectors * lanes(A)),
        vectors=vectors, c_row=width, a_row=1, a_k=K, p_row=width, p_panel=vectors * lanes(A),
    )  # fmt: skip
    return np.ascontiguousarray(C[:, :columns])


def sum_of_rows(B: Array, columns: int, vectors: int = PANEL_VECTORS) -> Array:
    """Σ over rows n of B[n]: the outer products with 1."""
    ones = np.ones((len(B), 1), B.dtype)
    row: Array = sum_of_outer_products(ones, B, columns, vectors)[0]
    return row
