"""A large weight is updated piece by piece, each piece small enough to stay in the cache.

An update computes every number of a weight from the same place of its gradient and of what is
remembered, so it does not matter how a weight is cut: the bits are the same. It does matter for
the time. A formula written as NumPy expressions makes an array for each of its parts, and for a
million numbers each of these would travel to memory and back.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.training.optimizers.state import Slots

Update = Callable[[Array, Array, Slots, Any], tuple[Array, Slots]]

BLOCK = 16384
"""Numbers of a piece: 128 KiB in float64, of which a dozen are in use at a time."""


def in_blocks(update: Update, w: Array, g: Array, slots: Slots, constants: Any) -> Any:
    """``update(w, g, slots, constants)``, the same to the last bit."""
    if w.size <= BLOCK:
        return update(w, g, slots, constants)
    new_w = np.empty(w.shape, w.dtype)
    new_slots = {slot: np.empty(w.shape, w.dtype) for slot in slots}
    old = {slot: array.reshape(-1) for slot, array in slots.items()}
    new = {slot: array.reshape(-1) for slot, array in new_slots.items()}
    flat_w, flat_g, flat_new_w = w.reshape(-1), g.reshape(-1), new_w.reshape(-1)
    for piece in pieces(w.size):
        remembered = {slot: array[piece] for slot, array in old.items()}
        flat_new_w[piece], updated = update(flat_w[piece], flat_g[piece], remembered, constants)
        for slot, array in updated.items():
            new[slot][piece] = array
    return new_w, new_slots


def pieces(size: int) -> Iterator[slice]:
    """Slices that cover 0 to size, each of at most `BLOCK`."""
    return (slice(start, start + BLOCK) for start in range(0, size, BLOCK))
