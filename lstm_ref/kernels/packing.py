"""Weight panels: weights laid out in the order in which the loops read them.

A panel holds a few columns of a matrix, all its rows, one after the other, so that the product
walks through memory in a straight line. L is the number of elements in a 64-byte vector.
"""

import math
from weakref import WeakKeyDictionary

import numpy as np

from lstm_ref.conventions import GATES, Array
from lstm_ref.kernels.geometry import PANEL_VECTORS, VECTOR_BYTES
from lstm_ref.spec.parameters import FixedLSTMParams, LSTMParams


def lanes(array: Array) -> int:
    """L, how many elements of the array's dtype make a vector."""
    return VECTOR_BYTES // array.dtype.itemsize


def padded(columns: int, width: int) -> int:
    """``columns`` rounded up to whole panels of ``width``."""
    return math.ceil(columns / width) * width


def gate_panels(weights: Array) -> Array:
    """[K,4H] → [H_padded/L, K, 4, L]: the i, f, g, o columns of L units side by side."""
    L = lanes(weights)
    K, H = weights.shape[0], weights.shape[1] // len(GATES)
    panels = padded(H, L) // L
    whole = np.zeros((K, len(GATES), panels * L), weights.dtype)
    whole[:, :, :H] = weights.reshape(K, len(GATES), H)
    return aligned(whole.reshape(K, len(GATES), panels, L).transpose(2, 0, 1, 3))


def lstm_panels(params: LSTMParams) -> tuple[Array, Array]:
    """(W over U as [H_padded/L, D+H, 4, L], bias as [H_padded/L, 1, 4, L])."""
    found = _packed.get(params)
    if found is None:
        kernel = params.kernel
        bias = np.zeros(kernel.shape[1], kernel.dtype) if params.bias is None else params.bias
        stacked = np.concatenate([kernel, params.recurrent_kernel])
        found = gate_panels(stacked), gate_panels(bias[None])
        if isinstance(params, FixedLSTMParams):
            _packed[params] = found
    return found


_packed: WeakKeyDictionary[LSTMParams, tuple[Array, Array]] = WeakKeyDictionary()
"""The panels of weights that do not change, kept as long as they are."""


def panel_vectors(columns: int, L: int) -> int:
    """How many vectors wide the panels of a result with so many columns are: 4, or 1 if narrow."""
    return PANEL_VECTORS if columns > 2 * L else 1


def column_panels(matrix: Array, vectors: int) -> Array:
    """[K,N] → [N_padded/width, K, width], width being ``vectors`` of L columns."""
    width = vectors * lanes(matrix)
    K, N = matrix.shape
    panels = padded(N, width) // width
    whole = np.zeros((K, panels * width), matrix.dtype)
    whole[:, :N] = matrix
    return aligned(whole.reshape(K, panels, width).transpose(1, 0, 2))


def aligned(array: Array) -> Array:
    """A contiguous copy whose every vector lies in one line of the cache, not across two."""
    memory = np.empty(array.nbytes + VECTOR_BYTES, np.uint8)
    start = -memory.ctypes.data % VECTOR_BYTES
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
