"""A layer applied at every time step. Keras: ``keras.layers.TimeDistributed``."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers.base import Layer, Shape
from lstm_ref.layers.composite import Composite
from lstm_ref.layers.dropout import Dropout
from lstm_ref.layers.input import InputLayer
from lstm_ref.layers.lstm_cell import LSTMCell
from lstm_ref.layers.registry import deserialize, serialize
from lstm_ref.layers.stacked_rnn_cells import StackedRNNCells


class TimeDistributed(Composite):
    """Applies one layer, with the same weights, to each time step of x[B,T,...].

    The steps do not touch each other, so all of them are given to the layer at once, as B·T rows.
    ``TimeDistributed(Dense(K))`` equals ``Dense(K)``. A mask [B,T] passes through; one with further
    axes, [B,T,S], is also handed to the layer, as that of its own steps. Where the layer ends
    those, a step counts as real when one of its own is. (Keras passes on [B,T,S] there, which no
    layer or loss behind it can read.)

    Args:
        layer: what is applied. Refused are those that treat the steps of a batch together: a
            stateful one, whose state would run on from step to step in Keras; one that penalizes
            its outputs, which Keras does not do here; dropout with a batch axis in `noise_shape`.
    """

    def __init__(self, layer: Layer, **common: Any) -> None:
        no_layer = InputLayer | LSTMCell | StackedRNNCells
        if not isinstance(layer, Layer) or isinstance(layer, no_layer):
            raise TypeError(f"TimeDistributed applies a layer of lstm_ref, and {layer!r} came")
        if getattr(layer, "stateful", False) or layer.outputs != 1:
            raise UnsupportedError(
                f"TimeDistributed({layer.name!r}): a layer that is stateful or gives several "
                "arrays is not supported here"
            )
        if layer.penalizes_activity:
            raise UnsupportedError(
                f"TimeDistributed({layer.name!r}): an activity_regularizer of the layer inside is "
                "not supported, and Keras leaves it out: give it to TimeDistributed itself"
            )
        if isinstance(layer, Dropout) and layer.noise_shape and layer.noise_shape[0] is not None:
            raise UnsupportedError(
                f"TimeDistributed({layer.name!r}): noise_shape={layer.noise_shape} begins with the "
                "batch axis, which has all time steps in it here: None is supported"
            )
        super().__init__(**{"dtype": layer.dtype, **common})
        self.layer = layer

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The layer. Its weights are the wrapper's, by their own names."""
        return {"": self.layer}

    def part_shapes(self, input_shape: Shape) -> list[Shape]:
        """That of one step."""
        return [self._step(input_shape)]

    def _step(self, shape: Shape) -> Shape:
        return (shape[0], *shape[2:])

    @property
    def reads_sequences(self) -> bool:
        """Yes, of whatever axes each step has."""
        return True

    def cast(self, x: Any, name: str) -> Array:
        """As the layer does."""
        return self.layer.cast(x, name)

    def check_input(self, shape: Shape) -> None:
        """At least (batch, time, ...), and of each step what the layer reads."""
        if len(shape) < 3:
            raise ShapeError(
                f"layer {self.name!r} (TimeDistributed) got an input of shape {shape}, and reads "
                "(batch, time, ...); for one feature per step use x[..., None]"
            )
        self.layer.check_input(self._step(shape))

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """That of the layer, with the time axis."""
        batch, *rest = self.layer.compute_output_shape(self._step(input_shape))
        return (batch, input_shape[1], *rest)

    def compute_mask(self, x: Array, mask: Array | None = None) -> Any:
        """The mask of the steps, and of the layer's own steps where it still has them."""
        if mask is None or np.ndim(mask) < 3:
            return mask
        steps = np.asarray(mask, bool)  # [B,T,S]
        inner = self.layer.compute_mask(_rows(x), _rows(steps))
        if inner is None:
            return steps.any(axis=tuple(range(2, steps.ndim)))
        return np.asarray(inner).reshape(*steps.shape[:2], *inner.shape[1:])

    def forward(
        self,
        x: Array,
        mask: Array | None = None,
        training: bool = False,
        keep_cache: bool = False,
    ) -> tuple[Array, tuple[Shape, Any] | None]:
        """The output [B,T,...], and what ``backward`` needs."""
        inner = None
        if mask is not None and np.ndim(mask) > 2:
            inner = _rows(self.checked_mask(x, mask))
        y, cache = self.layer.forward(_rows(x), inner, training, keep_cache)
        y = y.reshape(*x.shape[:2], *y.shape[1:])
        return y, (x.shape, cache) if keep_cache else None

    def backward(self, d_y: Array, cache: tuple[Any, Any]) -> tuple[Array, dict[str, Array]]:
        """The gradient on x, and those on the weights."""
        shape, inner = cache
        d_x, gradients = self.layer.backward(_rows(d_y), inner)
        return d_x.reshape(shape), gradients

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """See `Layer.from_config`."""
        return super().from_config({**config, "layer": deserialize(config.get("layer"))})


def _rows(array: Array) -> Array:
    """[B,T,...] as [B·T,...]."""
    return array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])
