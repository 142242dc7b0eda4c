"""The two layouts of ONNX's operator LSTM, and the way to the core's.

The batch axis is in front in layout 1, as it is in the core, and the last but one in layout 0. That
is the whole difference, and it is the same for X, the states, Y and their gradients.
"""

from typing import TypeVar

import numpy as np

from lstm_ref.conventions import Array

Axis = TypeVar("Axis", int, str)


def in_layout(axes: tuple[Axis, ...], layout: int) -> tuple[Axis, ...]:
    """A shape, or the names of the axes, with the batch in front, as the operator has it."""
    batch, *others, last = axes
    return axes if layout else (*others, batch, last)


def batch_first(array: Array, layout: int) -> Array:
    """The operator's array with its batch axis in front."""
    return array if layout else np.moveaxis(array, -2, 0)


def batch_back(array: Array, layout: int) -> Array:
    """The inverse of ``batch_first``, as an array of its own."""
    return array if layout else np.ascontiguousarray(np.moveaxis(array, 0, -2))


def joined(directions: list[Array], layout: int) -> Array:
    """The core's [batch,T,H] or [batch,H] of each direction, in one array of the operator."""
    return batch_back(np.stack(directions, axis=-2), layout)
