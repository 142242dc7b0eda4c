"""Weights into panels: columns side by side in the order in which the tile reads them."""

from lstm_ref.kernels.loops.vector import Buffer, Size, at, lanes, loop, real


@loop
def pack_panels(
    panels: Buffer,
    first: Size,
    panel_size: Size,
    panel_count: Size,
    matrix: Buffer,
    K: Size,
    row: Size,
    column: Size,
    columns: Size,
    width: Size,
    groups: Size,
    group: Size,
) -> None:
    """Panel n gets, in each of its K rows, ``groups`` times ``width`` columns of the matrix.

    The number in row k and column j is at ``matrix[k·row + j·column]``, so the matrix may be
    transposed. Columns come in ``groups`` of so many as ``columns``, each beginning ``group`` after
    the one before; panel n takes those from n·width on of each. Those that a group has not are 0.
    The first panel begins at ``first``, the others ``panel_size`` after each other.
    """
    L = lanes(panels)
    panel_row = groups * width
    for n in range(panel_count):
        real_width = min(columns - n * width, width)
        for v in range(groups):
            target = at(panels, first + n * panel_size + v * width)
            source = at(matrix, (v * group + n * width) * column)
            # A few rows at a time, so that neither side leaves the nearest cache on the way.
            for k_first in range(0, K, L):
                k_end = min(k_first + L, K)
                if column == 1:
                    for k in range(k_first, k_end):
                        for u in range(real_width):
                            target[k * panel_row + u] = source[k * row + u]
                else:
                    for u in range(real_width):
                        for k in range(k_first, k_end):
                            target[k * panel_row + u] = source[k * row + u * column]
                for k in range(k_first, k_end):
                    for u in range(real_width, width):
                        target[k * panel_row + u] = real(target[u], 0.0)
