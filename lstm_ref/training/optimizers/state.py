"""What an optimizer remembers from step to step, and the way to arrays of a file and back.

A state is never changed: a step makes a new one, whose arrays are new wherever they differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstm_ref.conventions import DTYPES, Array
from lstm_ref.errors import ModelFormatError, ShapeError

Slots = dict[str, Array]
"""What is remembered about one weight, each of the weight's shape: m and v of Adam, say."""

AVERAGE, WAITING = "average", "gradient_accumulator"
"""Keras' names for the average of a weight and for the sum of gradients that wait."""


@dataclass(frozen=True)
class State:
    """What an optimizer remembers.

    Attributes:
        iterations: how many gradients it has been given. With gradient accumulation most of them
            have not changed a weight at once.
        slots: by the name of the weight, what the update rule remembers about it.
        waiting: by the name of the weight, the sum of the gradients that wait to be applied;
            empty without gradient accumulation.
        averages: by the name of the weight, its moving average; empty without.
        numbers: what the update rule remembers about all weights together.
    """

    iterations: int = 0
    slots: Mapping[str, Slots] = field(default_factory=dict)
    waiting: Mapping[str, Array] = field(default_factory=dict)
    averages: Mapping[str, Array] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)

    def arrays_of(self, name: str) -> Slots:
        """All that is remembered about one weight."""
        kept = {AVERAGE: self.averages, WAITING: self.waiting}
        more = {kind: arrays[name] for kind, arrays in kept.items() if name in arrays}
        return {**more, **self.slots[name]}

    def arrays(self) -> dict[str, Array]:
        """Every array, as ``"momentum/lstm/kernel"``: what it is, and of which weight."""
        return {
            f"{kind}/{name}": array
            for name in self.slots
            for kind, array in self.arrays_of(name).items()
        }


@dataclass(frozen=True)
class Step:
    """What a step would make of the weights, and what would be remembered then."""

    weights: dict[str, Array]
    state: State


def sorted_by_weight(arrays: Mapping[str, Any], kinds: tuple[str, ...]) -> dict[str, Slots]:
    """The reverse of `State.arrays`: {weight: {kind: array}}, copied.

    Args:
        arrays: as `State.arrays` gives them.
        kinds: what must be there about every weight.

    Raises:
        ModelFormatError: an array too many, one too few, or of another dtype than weights have.
        ShapeError: two arrays about one weight differ in shape.
    """
    by_weight: dict[str, Slots] = {}
    for place, array in arrays.items():
        kind, _, name = place.partition("/")
        if kind not in kinds or not name:
            known = ", ".join(f"{k}/..." for k in kinds) or "nothing at all"
            raise ModelFormatError(
                f"the state of the optimizer has {place!r}, and this optimizer remembers {known}: "
                "it was saved by another kind of optimizer, or with other options"
            )
        if not isinstance(array, np.ndarray) or array.dtype not in DTYPES:
            raise ModelFormatError(
                f"the state of the optimizer has {place!r} as "
                f"{getattr(array, 'dtype', type(array))}, and an array of float32 or float64 is "
                "needed"
            )
        by_weight.setdefault(name, {})[kind] = array.copy()
    for name, kept in by_weight.items():
        if missing := [kind for kind in kinds if kind not in kept]:
            raise ModelFormatError(
                f"the state of the optimizer lacks {missing[0]}/{name}: it was saved by another "
                "kind of optimizer, or with other options"
            )
        if len(shapes := {array.shape for array in kept.values()}) > 1:
            raise ShapeError(
                f"the state of the optimizer has arrays of different shapes for {name}: "
                f"{' and '.join(map(str, sorted(shapes)))}"
            )
    return by_weight
