"""One vector, at many time steps. Keras: ``keras.layers.RepeatVector``."""

from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.layers.base import Layer, Shape, positive


class RepeatVector(Layer):
    """x[B,D] becomes [B,n,D]: between an encoder, which ends a sequence, and a decoder.

    Args:
        n: how many time steps.
    """

    input_axes = 2

    def __init__(self, n: int, **common: Any) -> None:
        super().__init__(**common)
        self.n = positive(n, "RepeatVector", "n")

    def check_input(self, shape: Shape) -> None:
        """(batch, features)."""
        if len(shape) != 2:
            raise ShapeError(
                f"layer {self.name!r} (RepeatVector) got an input of shape {shape}, and reads "
                "(batch, features): set return_sequences=False on the LSTM before it"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """A time axis of n."""
        return (input_shape[0], self.n, input_shape[1])

    def compute_mask(self, x: Array, mask: Array | None = None) -> None:  # noqa: ARG002
        """None: what is repeated has no padding."""
        return

    def forward(
        self,
        x: Array,
        mask: Array | None = None,  # noqa: ARG002
        training: bool = False,  # noqa: ARG002
        keep_cache: bool = False,  # noqa: ARG002
    ) -> tuple[Array, None]:
        """[B,n,D]."""
        return np.repeat(x[:, None], self.n, axis=1), None

    def backward(self, d_y: Array, cache: None) -> tuple[Array, dict[str, Array]]:  # noqa: ARG002
        """The sum over the time steps."""
        return d_y.sum(axis=1), {}

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**super().get_config(), "n": self.n}
