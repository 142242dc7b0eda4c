"""Rows in batches: the data of ``fit`` and ``evaluate``, split, shuffled and dealt out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError

DEFAULT_BATCH_SIZE = 32
"""Keras' batch size where none is given."""


class Batch(NamedTuple):
    """Some rows of x, of the target y and of the sample weights (or None), and their numbers."""

    x: Array
    y: Array
    weight: Array | None
    numbers: Array


@dataclass(frozen=True)
class Data:
    """Rows that belong together: inputs, targets, and sample weights or None.

    ``first`` is the number of the first row in the arrays they were taken from.
    """

    x: Array
    y: Array
    weight: Array | None = None
    first: int = 0

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.x.shape[0])

    def split(self, fraction: float) -> tuple["Data", "Data"]:
        """All but the last ``fraction`` of the rows, and those. Nothing is shuffled before.

        Raises:
            ShapeError: one part would have no rows.
        """
        at = math.floor(self.rows * (1.0 - fraction))
        if not 0 < at < self.rows:
            raise ShapeError(
                f"validation_split={fraction} of {self.rows} rows leaves {at} to train on and "
                f"{self.rows - at} to validate with: both parts need one"
            )
        return Data(*self._take(slice(0, at))), Data(*self._take(slice(at, None)), first=at)

    def batches(self, batch_size: int, order: Array | None = None) -> Iterator[Batch]:
        """The rows, ``batch_size`` at a time, the rest last; in this order, or as they are."""
        numbers = np.arange(self.first, self.first + self.rows)
        for start in range(0, self.rows, batch_size):
            part = slice(start, start + batch_size)
            chosen = part if order is None else order[part]
            yield Batch(*self._take(chosen), numbers[chosen])

    def whole(self) -> Batch:
        """All rows as one batch."""
        return next(self.batches(self.rows))

    def _take(self, rows: Any) -> tuple[Array, Array, Array | None]:
        return self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows]


def steps_for(rows: int, batch_size: int) -> int:
    """How many batches ``rows`` make."""
    return math.ceil(rows / batch_size)


def checked_batch_size(batch_size: Any) -> int:
    """``batch_size`` as an int; None is Keras' 32.

    Raises:
        ValueError: not a positive whole number.
    """
    if batch_size is None:
        return DEFAULT_BATCH_SIZE
    if (
        isinstance(batch_size, bool)
        or not isinstance(batch_size, int | np.integer)
        or batch_size < 1
    ):
        raise ValueError(f"batch_size={batch_size!r}: a positive whole number is needed")
    return int(batch_size)
