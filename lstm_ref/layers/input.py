"""The shape of the data, said once at the top of a model. Keras: ``keras.Input``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstm_ref.checks import real_array, real_numbers
from lstm_ref.conventions import Array
from lstm_ref.layers.base import Layer, Shape, axes, refuse
from lstm_ref.layers.session import dtype_name

WHOLE_NUMBERS = tuple(
    np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)
)
"""The dtypes an `Input` may have besides those that layers compute in."""


class InputLayer(Layer):
    """What `Input` makes: it hands the data on.

    With a `dtype` of its own it rounds the data to it (whole numbers too, for an `Embedding`);
    without, the next layer's dtype decides.
    (Keras always rounds to the input's dtype, float32 unless told otherwise, also in front of
    float64 layers.)
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
    ) -> None:
        refuse(
            "Input",
            {
                "sparse": sparse,
                "ragged": ragged,
                "tensor": input_tensor is not None,
                "optional": optional,
            },
        )
        if (shape is None) == (batch_shape is None):
            raise ValueError("Input needs either shape=(time, features) or batch_shape")
        if batch_shape is not None and batch_size is not None:
            raise ValueError("Input takes batch_size with shape, not with batch_shape")
        whole = axes(batch_shape or (), "batch_shape", None)
        if shape is not None:
            whole = (batch_size, *axes(shape, "shape", None))
        whole_numbers = dtype in WHOLE_NUMBERS
        super().__init__(name=name, dtype=None if whole_numbers else dtype, batch_shape=whole)
        self.batch_shape: Shape = whole
        self.casts_to = None
        if dtype is not None:
            self.casts_to = np.dtype(dtype).name if whole_numbers else dtype_name(dtype)
        self.build(whole)

    def read(self, x: Any) -> Array:
        """``x`` as an array of real numbers, rounded to the input's dtype where it has one.

        Without one it keeps its own, so that whole numbers reach an `Embedding` as they are.
        """
        if self.casts_to is None:
            return real_numbers(x, "x")
        return real_array(x, "x", np.dtype(self.casts_to))

    def forward(
        self,
        x: Array,
        mask: Array | None = None,  # noqa: ARG002
        training: bool = False,  # noqa: ARG002
        keep_cache: bool = False,  # noqa: ARG002
    ) -> tuple[Array, None]:
        """The data itself."""
        return x, None

    def backward(self, d_y: Array, cache: None) -> tuple[Array, dict[str, Array]]:  # noqa: ARG002
        """The gradient itself."""
        return d_y, {}

    def get_config(self) -> dict[str, Any]:
        """The shape, the dtype and the name."""
        return {"batch_shape": list(self.batch_shape), "dtype": self.casts_to, "name": self.name}


def Input(  # noqa: N802 (Keras' name)
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> InputLayer:
    """The first entry of a `Sequential`: ``Input((time, features))``, unknown lengths None.

    Args:
        shape: without the batch axis; `batch_shape` is with it.
        batch_size: a fixed batch size, as stateful layers need.
        dtype: round the data to it; None leaves that to the next layer.
        sparse, ragged, tensor, optional: refused.
    """
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name)
