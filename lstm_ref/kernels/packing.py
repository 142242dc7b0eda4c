"""Weight panels: weights laid out in the order in which the loops read them.

A panel holds a few columns of a matrix, all its rows, one after the other, so that the product
walks through memory in a straight line. L is the number of elements in a 64-byte vector.
"""

import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from lstm_ref.conventions import GATES, PEEPHOLE_GATES, Array
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


@dataclass(frozen=True)
class LSTMPanels:
    """The weights of an LSTM as its forward loop reads them.

    Attributes:
        weights: W over U, [H_padded/L, D+P, 4, L].
        bias: [H_padded/L, 1, 4, L].
        peephole: of i, f and o, [H_padded/L, 3, L], or None.
        projection: R as ``column_panels``, or None.
        projection_vectors: how wide those are.
    """

    weights: Array
    bias: Array
    peephole: Array | None
    projection: Array | None
    projection_vectors: int


def lstm_panels(params: LSTMParams) -> LSTMPanels:
    """The panels of these weights; laid out once if the weights are fixed."""
    found = _packed.get(params)
    if found is None:
        kernel, p, R = params.kernel, params.peephole, params.projection
        L = lanes(kernel)
        bias = np.zeros(kernel.shape[1], kernel.dtype) if params.bias is None else params.bias
        vectors = panel_vectors(params.outputs, L)
        found = LSTMPanels(
            weights=gate_panels(np.concatenate([kernel, params.recurrent_kernel])),
            bias=gate_panels(bias[None]),
            peephole=None if p is None else column_panels(p.reshape(len(PEEPHOLE_GATES), -1), 1),
            projection=None if R is None else column_panels(R, vectors),
            projection_vectors=vectors,
        )
        if isinstance(params, FixedLSTMParams):
            _packed[params] = found
    return found


_packed: WeakKeyDictionary[LSTMParams, LSTMPanels] = WeakKeyDictionary()
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
