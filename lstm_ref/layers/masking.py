"""Which steps are padding, seen in the data itself. Keras: ``keras.layers.Masking``."""

from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.layers.base import Layer


class Masking(Layer):
    """Masks every step whose features all equal `mask_value`, and makes such a step 0.

    The layers behind it skip those steps, and the loss and metrics do not count them. The
    comparison is made in the layer's dtype; -0.0 equals 0; a step with a NaN is not masked.
    A real step that happens to hold `mask_value` in every feature is masked too: choose a value
    the data never takes, and pad with it.

    Args:
        mask_value: what padding holds.
    """

    def __init__(self, mask_value: float = 0.0, **common: Any) -> None:
        super().__init__(**common)
        if np.isnan(mask_value):
            raise ValueError(
                "Masking(mask_value=nan) would mask nothing, because NaN equals nothing: pad with "
                "a number the data never takes, for example with np.nan_to_num(x, nan=-1.0)"
            )
        self.mask_value = float(mask_value)

    makes_masks = True

    def compute_mask(self, x: Array, mask: Array | None = None) -> Array:  # noqa: ARG002
        """bool [B,T] for x[B,T,D]: False where every feature is `mask_value`."""
        return np.asarray(np.any(x != x.dtype.type(self.mask_value), axis=-1))

    def forward(
        self,
        x: Array,
        mask: Array | None = None,  # noqa: ARG002
        training: bool = False,  # noqa: ARG002
        keep_cache: bool = False,
    ) -> tuple[Array, Array | None]:
        """``x`` with 0 in the masked steps. An earlier mask is replaced, as in Keras."""
        real = self.compute_mask(x)[..., None]  # [B,T,1]
        return np.where(real, x, 0).astype(x.dtype, copy=False), real if keep_cache else None

    def backward(self, d_y: Array, cache: Array) -> tuple[Array, dict[str, Array]]:
        """Nothing flows back through a masked step."""
        return np.where(cache, d_y, 0).astype(d_y.dtype, copy=False), {}

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**super().get_config(), "mask_value": self.mask_value}
