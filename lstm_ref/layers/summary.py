"""The table that ``model.summary()`` shows: Keras' form, drawn without its dependencies."""

import shutil
import textwrap
from collections.abc import Sequence
from itertools import pairwise

WIDTH = 88
"""Keras' line length, where the terminal is wide enough for it."""

POSITIONS = (0.45, 0.80, 1.0)
"""Where its columns end, as parts of the line."""


def readable_bytes(n: float) -> str:
    """``1.57 KB``, in units of 1024."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if n < 1024:
            return f"{n:.2f} {unit}"
        n /= 1024
    return f"{n:.2f} PB"


def column_widths(
    line_length: int | None, positions: Sequence[float] | None, trainable: bool
) -> list[int]:
    """How many characters each column holds, borders and padding not counted.

    Args:
        line_length: of the table; None for Keras' or what the terminal allows.
        positions: where the columns end, as parts of the line, the last one at 1.
        trainable: one more column is shown.

    Raises:
        ValueError: too narrow, or positions that do not end at 1.
    """
    ends = list(positions or POSITIONS)
    extra = 12 if trainable else 0
    if trainable:
        ends = [0.9 * end for end in ends] + [1.0]
    if len(ends) != 3 + trainable or ends[-1] != 1.0 or ends != sorted(ends):
        raise ValueError(f"positions={positions}: three growing numbers are needed, the last 1.0")
    length = line_length or min(WIDTH + extra, shutil.get_terminal_size().columns - 4)
    cuts = [0, *(int(end * length) for end in ends)]
    widths = [right - left for left, right in pairwise(cuts)]
    if min(widths) < 4:
        raise ValueError(f"a summary of {length} characters a line leaves no room for its columns")
    # The borders and the padding take 3n + 1 characters, from all columns alike.
    taken = 3 * len(widths) + 1
    for n in range(len(widths)):
        share = round(taken / (len(widths) - n))
        widths[n] -= share
        taken -= share
    return [max(width, 1) for width in widths]


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[str], widths: list[int]
) -> str:
    """The rows under their header, boxed; a cell that is too long is wrapped at its spaces.

    Args:
        header: the title of each column.
        rows: of as many cells.
        align: "<", "^" or ">" for each column.
        widths: of each column.
    """

    def line(left: str, fill: str, between: str, right: str) -> str:
        return left + between.join(fill * (width + 2) for width in widths) + right

    def cells(row: Sequence[str], side: str, top: bool) -> list[str]:
        wrapped = [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        height = max(len(part) for part in wrapped)
        for part in wrapped:
            blank = [""] * (height - len(part))
            part[:] = part + blank if top else blank + part
        return [
            side
            + side.join(
                f" {text:{how}{width}} "
                for text, how, width in zip(texts, align, widths, strict=True)
            )
            + side
            for texts in zip(*wrapped, strict=True)
        ]

    lines = [line("┏", "━", "┳", "┓"), *cells(header, "┃", top=False), line("┡", "━", "╇", "┩")]
    for n, row in enumerate(rows):
        if n:
            lines.append(line("├", "─", "┼", "┤"))
        lines += cells(row, "│", top=True)
    lines.append(line("└", "─", "┴", "┘"))
    return "\n".join(lines)


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters; a word that is too long ends in an ellipsis."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [part if len(part) <= width else part[: width - 1] + "…" for part in lines] or [""]
