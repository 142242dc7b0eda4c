"""Weights into panels: columns side by side in the order in which the tile reads them."""

from typing import Any

from lstm_ref.kernels.loops.vector import Buffer, Size, at, lanes, loop, real


@loop
def pack_panels(
    panels: Buffer,
    panel_count: Size,
    top: Buffer,
    top_rows: Size,
    middle: Buffer,
    middle_rows: Size,
    bottom: Buffer,
    bottom_rows: Size,
    row: Size,
    column: Size,
    columns: Size,
    width: Size,
    groups: Size,
) -> None:
    """Panel n gets, in each of its rows, ``groups`` times ``width`` columns of a matrix.

    The matrix is in three parts, one above the other; those of no rows are not read. The number in
    row k and column j of a part is at ``k·row + j·column``, so it may be transposed. Its columns
    come in ``groups`` of so many as ``columns``; panel n takes those from n·width on of each. Those
    that a group has not are 0.
    """
    layout = (panel_count, top_rows + middle_rows + bottom_rows, columns, width, groups)
    if top_rows:
        pack_part(panels, 0, layout, top, top_rows, row, column)
    if middle_rows:
        pack_part(panels, top_rows, layout, middle, middle_rows, row, column)
    if bottom_rows:
        pack_part(panels, top_rows + middle_rows, layout, bottom, bottom_rows, row, column)


@loop
def pack_part(
    panels: Buffer,
    first_row: Size,
    layout: Any,
    matrix: Buffer,
    K: Size,
    row: Size,
    column: Size,
) -> None:
    """The K rows of one part go to the rows of the panels from ``first_row`` on."""
    panel_count, panel_rows, columns, width, groups = layout
    L = lanes(panels)
    panel_row = groups * width
    for n in range(panel_count):
        real_width = min(columns - n * width, width)
        for v in range(groups):
            target = at(panels, (n * panel_rows + first_row) * panel_row + v * width)
            source = at(matrix, (v * columns + n * width) * column)
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
