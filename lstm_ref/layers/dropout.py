"""Some numbers set to 0 in training. Keras: ``keras.layers.Dropout``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.layers.base import Layer
from lstm_ref.layers.dropping import Dropper, dropout_rate


class Dropout(Layer):
    """In training a number is 0 with the probability `rate`, and else 1/(1 - rate) times itself.

    Outside training the input passes unchanged. A mask passes through.

    Args:
        rate: from 0 to below 1.
        noise_shape: the shape of what is drawn, None for a length of the input and 1 for numbers
            that are dropped together: ``(None, 1, None)`` drops a feature at all time steps alike.
        seed: where the draws begin; None takes the next seed of the session.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.rate = dropout_rate(rate, "Dropout")
        self.noise_shape = None if noise_shape is None else _lengths(noise_shape)
        self._dropper = Dropper(seed, "Dropout")
        self.seed = self._dropper.seed

    def forward(
        self,
        x: Array,
        mask: Array | None = None,  # noqa: ARG002
        training: bool = False,
        keep_cache: bool = False,
    ) -> tuple[Array, Array | None]:
        """``x`` with what is dropped, and the factors, which ``backward`` needs."""
        if not training or not self.rate:
            return x, np.ones((), x.dtype) if keep_cache else None
        factors = self.draw(x.shape, x.dtype)
        return x * factors, factors if keep_cache else None

    def forward_from(
        self,
        x: Array,
        state: Array | None = None,
        mask: Array | None = None,
        training: bool = False,
        keep_cache: bool = False,
    ) -> tuple[Array, Array | None, Array | None]:
        """See `Layer.forward_from`. Factors that are the same at all steps are those of the state.

        Others are drawn for each piece, so what is dropped of a whole sequence is other numbers
        than of its pieces.
        """
        if not (training and self.rate and self.same_at_all_steps):
            return super().forward_from(x, state, mask, training, keep_cache)
        factors = self.draw(x.shape, x.dtype) if state is None else state
        return x * factors, factors, factors if keep_cache else None

    @property
    def same_at_all_steps(self) -> bool:
        """Whether `noise_shape` has one factor for all time steps."""
        return self.noise_shape is not None and self.noise_shape[1:2] == (1,)

    def draw(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """New factors for an input of this shape."""
        if self.noise_shape is not None:
            axes = list(zip(self.noise_shape, shape, strict=False))
            if len(self.noise_shape) != len(shape) or any(n not in (None, 1, m) for n, m in axes):
                raise ShapeError(
                    f"layer {self.name!r} (Dropout) has noise_shape={self.noise_shape}, and its "
                    f"input has shape {shape}: one length for each axis is needed, that of the "
                    "input (or None), or 1"
                )
            shape = tuple(m if n is None else n for n, m in axes)
        return self._dropper.factors(self.rate, shape, dtype)

    def backward(self, d_y: Array, cache: Array) -> tuple[Array, dict[str, Array]]:
        """The gradient goes where the numbers went."""
        return d_y * cache, {}

    @property
    def droppers(self) -> Mapping[str, Dropper]:
        """See `Layer.droppers`."""
        return {"": self._dropper} if self.rate else {}

    def restart_dropout(self) -> None:
        """See `Layer.restart_dropout`."""
        self._dropper.restart()

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        shape = None if self.noise_shape is None else list(self.noise_shape)
        own = {"rate": self.rate, "noise_shape": shape, "seed": self.seed}
        return {**super().get_config(), **own}


def _lengths(noise_shape: Any) -> tuple[int | None, ...]:
    """``noise_shape`` as a tuple.

    Raises:
        ValueError: not a tuple or list of positive whole numbers and None.
    """
    whole = isinstance(noise_shape, list | tuple) and all(
        n is None or (type(n) is int and n > 0) for n in noise_shape
    )
    if not whole:
        raise ValueError(
            f"Dropout(noise_shape={noise_shape!r}): a tuple of whole numbers, 1 or more, or None "
            "is needed, one for each axis: (None, 1, None) drops the same at every time step"
        )
    return tuple(noise_shape)
