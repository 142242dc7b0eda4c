"""The first number that is not finite, in arrays that were computed step by step together."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.training.through_time import CellRun


@dataclass(frozen=True)
class Group:
    """Arrays [B,...,n] of the same axes but the last, computed in this order at each step.

    Attributes:
        arrays: by quantity.
        run: the cell they belong to, where they belong to one.
        backwards: their last step (the last axis but one) comes first in the layer's input.
        counted: bool [B,T], the steps that are looked at; None for all.
        harmless: quantities that only count where another one, too, is not finite: ±inf before an
            activation that bounds it does no harm.
    """

    arrays: Mapping[str, Array]
    run: CellRun | None = None
    backwards: bool = False
    counted: Array | None = None
    harmless: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spot:
    """A number in a group. Spots that were computed earlier compare as smaller by `when`."""

    group: Group
    quantity: str
    row: int
    at: tuple[int, ...]
    """The steps as the arrays have them, in the order of processing."""
    unit: int
    when: tuple[int, int]

    @property
    def value(self) -> float:
        """The number."""
        return float(self.group.arrays[self.quantity][(self.row, *self.at, self.unit)])

    def beside(self, quantity: str) -> float:
        """The number of another quantity at the same place."""
        return float(self.group.arrays[quantity][(self.row, *self.at, self.unit)])

    @property
    def row_of_cell(self) -> int:
        """The row in the cell's own cache: inside a `TimeDistributed` each step has one."""
        shape = self.group.arrays[self.quantity].shape
        return int(np.ravel_multi_index((self.row, *self.at[:-1]), shape[:-2]))

    def step_of(self, n: int) -> int:
        """The n-th step that was processed, in the order of the layer's input."""
        T = self.group.arrays[self.quantity].shape[-2]
        return int(T - 1 - n if self.group.backwards else n)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps in the order of the layer's input."""
        return (*self.at[:-1], self.step_of(self.at[-1])) if self.at else ()


def all_finite(arrays: Iterable[Array]) -> bool:
    """Whether no array holds NaN or infinity: asked of new weights before a model takes them.

    It costs some 2 µs an array, and 0.1 ms for a million numbers.
    """
    return all(np.isfinite(array).all() for array in arrays)


def first_of_each_row(group: Group) -> Iterator[Spot]:
    """For each row that has such a number the first one."""
    bad = {name: ~np.isfinite(array) for name, array in group.arrays.items()}  # [B,...,n]
    for name, needs in group.harmless.items():
        bad[name] &= bad[needs]
    found = np.stack([entries.any(axis=-1) for entries in bad.values()], axis=-1)  # [B,...,Q]
    if group.counted is not None:
        counted = group.counted
        found &= counted.reshape(*counted.shape, *(1,) * (found.ndim - counted.ndim))
    B, *steps, Q = found.shape
    flat = found.reshape(B, int(np.prod(steps)) * Q)  # step by step, quantity by quantity
    for row in np.flatnonzero(flat.any(axis=1)):
        n, q = divmod(int(np.argmax(flat[row])), Q)
        at = tuple(int(i) for i in np.unravel_index(n, steps)) if steps else ()
        quantity = list(group.arrays)[q]
        unit = int(np.argmax(bad[quantity][(row, *at)]))
        yield Spot(group, quantity, int(row), at, unit, when=(n, q))
