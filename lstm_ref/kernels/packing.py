"""Weight panels: weights laid out in the order in which the loops read them.

A panel holds a few columns of a matrix, all its rows, one after the other, so that the product
walks through memory in a straight line. L is the number of elements in a 64-byte vector.
"""

import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from lstm_ref.conventions import GATES, PEEPHOLE_GATES, Array
from lstm_ref.kernels import memory, runtime
from lstm_ref.kernels.geometry import NARROW_COST, NARROW_ROWS, PANEL_VECTORS, VECTOR_BYTES
from lstm_ref.spec.parameters import FixedLSTMParams, LSTMParams

NOTHING = np.zeros(1, np.uint8)
"""Stands for a buffer that is not read."""


def lanes(array: Array) -> int:
    """L, how many elements of the array's dtype make a vector."""
    return VECTOR_BYTES // array.dtype.itemsize


def padded(columns: int, width: int) -> int:
    """``columns`` rounded up to whole panels of ``width``."""
    return math.ceil(columns / width) * width


def gate_panels(*weights: Array) -> Array:
    """Up to three [K,4H], one above the other → [H_padded/L, ΣK, 4, L]: the gates side by side.

    These are the i, f, g, o columns of L units.
    """
    L, H = lanes(weights[0]), weights[0].shape[1] // len(GATES)
    K = sum(map(len, weights))
    panels = memory.empty((padded(H, L) // L, K, len(GATES), L), weights[0].dtype)
    pack([np.ascontiguousarray(w) for w in weights], panels, (len(GATES) * H, 1), H, L, len(GATES))
    return panels


def column_panels(matrix: Array, vectors: int) -> Array:
    """[K,N] → [N_padded/width, K, width], width being ``vectors`` of L columns."""
    width = vectors * lanes(matrix)
    K, N = matrix.shape
    panels = memory.empty((padded(N, width) // width, K, width), matrix.dtype)
    numbers, strides = as_stored(matrix)
    pack([numbers], panels, strides, N, width)
    return panels


def panels_of_a_call(
    matrix: Array, vectors: int, blocks: list[tuple[int, int]]
) -> tuple[Array, bool]:
    """Memory for the panels of a matrix that one call reads, and whether they are in it already.

    They are where several blocks of rows are computed at once, since all of these read the same
    ones. A call of one block lays them out itself.
    """
    if len(blocks) > 1:
        return column_panels(matrix, vectors), True
    K, N = matrix.shape
    return memory.empty((K, padded(N, vectors * lanes(matrix))), matrix.dtype), False


def as_stored(matrix: Array) -> tuple[Array, tuple[int, int]]:
    """The numbers of [K,N] without gaps, and how far apart its rows and its columns are in them."""
    if matrix.flags.f_contiguous:  # the transpose of what is laid out row by row
        return matrix.T, (1, matrix.shape[0])
    return np.ascontiguousarray(matrix), (matrix.shape[1], 1)


def pack(
    parts: list[Array],
    panels: Array,
    strides: tuple[int, int],
    columns: int,
    width: int,
    groups: int = 1,
) -> None:
    """Lay the parts of a matrix out; ``strides`` are those of its rows and its columns."""
    row, column = strides
    top, middle, bottom = [*parts, NOTHING, NOTHING][:3]
    rows = [part.size // (groups * columns) if columns else 0 for part in parts]
    in_top, in_middle, in_bottom = [*rows, 0, 0][:3]
    runtime.kernel("pack_panels", panels.dtype)(
        panels=panels, panel_count=len(panels), top=top, top_rows=in_top, middle=middle,
        middle_rows=in_middle, bottom=bottom, bottom_rows=in_bottom, row=row, column=column,
        columns=columns, width=width, groups=groups,
    )  # fmt: skip


@dataclass(frozen=True)
class LSTMPanels:
    """The weights of an LSTM as its forward loop reads them.

    Attributes:
        weights: b over W over U, [H_padded/L, 1+D+P, 4, L]; b is 0 where there is none.
        peephole: of i, f and o, [H_padded/L, 3, L], or None.
        projection: R as ``column_panels``, or None.
        projection_vectors: how wide those are.
    """

    weights: Array
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
            weights=gate_panels(bias[None], kernel, params.recurrent_kernel),
            peephole=None if p is None else column_panels(p.reshape(len(PEEPHOLE_GATES), -1), 1),
            projection=None if R is None else column_panels(R, vectors),
            projection_vectors=vectors,
        )
        if isinstance(params, FixedLSTMParams):
            _packed[params] = found
    return found


_packed: WeakKeyDictionary[LSTMParams, LSTMPanels] = WeakKeyDictionary()
"""The panels of weights that do not change, kept as long as they are."""


def panel_vectors(columns: int, L: int, rows: int | None = None) -> int:
    """How many vectors wide the panels of a result are: 4, or 1 where those would be half empty.

    With fewer rows than the narrow tile has, four sums side by side take no longer than one. What
    is laid out for any number of ``rows``, None, is narrow if it is very narrow.
    """
    if rows is None:
        return PANEL_VECTORS if columns > 2 * L else 1
    if rows < NARROW_ROWS:
        return PANEL_VECTORS if columns > L else 1
    wide = padded(columns, PANEL_VECTORS * L)
    return 1 if NARROW_COST * padded(columns, L) < wide else PANEL_VECTORS
