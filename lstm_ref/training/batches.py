"""Rows in batches: arrays that belong together, split, shuffled and dealt out."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.training.numbers import whole_number

DEFAULT_BATCH_SIZE = 32
"""Keras' batch size where none is given."""


class Batch(NamedTuple):
    """Some rows of x, of the target y and of the sample weights (or None), and their numbers."""

    x: Array
    y: Array
    weight: Array | None
    numbers: Array


Convert = Callable[[Any, Any, Any], tuple[Array, Array, Array | None]]
"""Makes (x, y, weight) as they were given to what a batch holds."""


@dataclass(frozen=True)
class Data:
    """Rows that belong together: inputs, targets, and sample weights or None.

    Attributes:
        x, y, weight: arrays with one entry a row.
        first: the number of the first row in the arrays they were taken from.
        convert: done to the rows of each batch when it is dealt out, so that arrays on the disk
            are never converted as a whole; None for arrays that are as they should be.
    """

    x: Array
    y: Array
    weight: Array | None = None
    first: int = 0
    convert: Convert | None = None

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.x.shape[0])

    def batches(
        self, batch_size: int, order: Array | None = None, first_batch: int = 0
    ) -> Iterator[Batch]:
        """The rows, ``batch_size`` at a time, the rest last; in this order, or as they are.

        ``first_batch`` leaves out the batches before it.
        """
        for start in range(first_batch * batch_size, self.rows, batch_size):
            rows = slice(start, min(start + batch_size, self.rows))
            numbers = np.arange(rows.start, rows.stop) if order is None else order[rows]
            part = self._part(rows if order is None else numbers)
            arrays = part.x, part.y, part.weight
            if self.convert is not None:
                arrays = self.convert(*arrays)
            yield Batch(*arrays, self.first + numbers)

    def whole(self) -> Batch:
        """All rows as one batch."""
        return next(self.batches(self.rows))

    def _part(self, rows: Any) -> "Data":
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, x=self.x[rows], y=self.y[rows], weight=weight)


def steps_for(rows: int, batch_size: int) -> int:
    """How many batches ``rows`` make."""
    return math.ceil(rows / batch_size)


def checked_batch_size(batch_size: Any) -> int:
    """``batch_size`` as an int; None is Keras' 32.

    Raises:
        ValueError: not a positive whole number.
    """
    return DEFAULT_BATCH_SIZE if batch_size is None else whole_number(batch_size, "batch_size")
