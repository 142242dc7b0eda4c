"""Arrays that carry the mask of their time steps from one layer to the next.

In Keras a tensor that comes out of ``Masking`` or ``Embedding(mask_zero=True)`` has its mask
attached, and ``LSTM(8)(Masking()(x))`` skips the padding without a word. Here a layer's output is
a NumPy array; where there is a mask, it is one of a subclass that carries it. What NumPy computes
from such an array carries nothing, as in Keras.
"""

from typing import Any

import numpy as np

from lstm_ref.conventions import Array


class MaskedSteps(np.ndarray):
    """An array [B,T,...] and the mask [B,T] of its steps, which `carried_mask` finds."""

    step_mask: Array | None = None


def with_mask(outputs: Any, masks: Any) -> Any:
    """A layer's output, or its outputs, carrying the masks that are not None."""
    if isinstance(outputs, tuple | list):
        if not isinstance(masks, tuple | list):
            masks = [masks] + [None] * (len(outputs) - 1)
        return type(outputs)(map(with_mask, outputs, masks))
    if masks is None:
        return outputs
    carrier = outputs.view(MaskedSteps)
    carrier.step_mask = masks
    return carrier


def carried_mask(array: Any) -> Array | None:
    """The mask that an array carries, or None."""
    return array.step_mask if isinstance(array, MaskedSteps) else None
