"""Softmax as a layer of its own. Keras: ``keras.layers.Softmax``."""

from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers.activation import Activation
from lstm_ref.layers.base import Layer, Shape

LAST = "a softmax goes along the last axis, -1"


class Softmax(Activation):
    """Probabilities that sum to 1 over the last axis, ``e^x / Σ e^x``.

    A mask [B,T] of the steps passes through, and changes no number. (Keras' layer takes the mask of
    an earlier layer for one of the units, and fails.)

    Args:
        axis: -1, or the number of the last axis. Others are refused, and so is a mask of the units
            in a call.
    """

    def __init__(self, axis: int = -1, **common: Any) -> None:
        if isinstance(axis, bool) or not isinstance(axis, int) or (axis < 1 and axis != -1):
            raise UnsupportedError(f"Softmax(axis={axis!r}) is not supported: {LAST}")
        super().__init__("softmax", **common)
        self.axis = axis

    def check_input(self, shape: Shape) -> None:
        """At least (batch, units), which are the last axis.

        Raises:
            ShapeError: a row without a batch.
            UnsupportedError: `axis` is another.
        """
        if len(shape) < 2:
            raise ShapeError(
                f"layer {self.name!r} (Softmax) got an input of shape {shape}, and reads "
                "(batch, ..., units); for one row use x[None]"
            )
        if self.axis not in (-1, len(shape) - 1):
            raise UnsupportedError(
                f"layer {self.name!r} got an input of shape {shape}, and has axis={self.axis}: "
                f"{LAST}"
            )

    def checked_mask(self, x: Array, mask: Any) -> Array:
        """``mask`` as bool, one for each row and step.

        Raises:
            UnsupportedError: one for each unit.
            ShapeError: it does not have the first axes of x.
        """
        if np.ndim(mask) >= x.ndim:
            raise UnsupportedError(
                f"layer {self.name!r} (Softmax) got a mask of shape {np.shape(mask)} for an input "
                f"of shape {x.shape}: a mask of the units is not supported; give the units that "
                "are to have the probability 0 the number -inf"
            )
        return super().checked_mask(x, mask)

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**Layer.get_config(self), "axis": self.axis}
