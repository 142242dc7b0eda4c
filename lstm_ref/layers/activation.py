"""An activation as a layer of its own. Keras: ``keras.layers.Activation``."""

from typing import Any

from lstm_ref.conventions import Array
from lstm_ref.layers.across_units import activated, back_through
from lstm_ref.layers.base import Layer, activation_entry
from lstm_ref.spec.activations import activation_id


class Activation(Layer):
    """``act(x)``, number by number, or over the last axis. A mask passes through.

    Args:
        activation: a name, or a name and its parameters, as the activations of `LSTM`; besides
            those, "softmax" and "log_softmax".
    """

    def __init__(self, activation: Any, **common: Any) -> None:
        super().__init__(**common)
        self.activation = activation_id(activation, across_units=True)

    def forward(
        self,
        x: Array,
        mask: Array | None = None,  # noqa: ARG002
        training: bool = False,  # noqa: ARG002
        keep_cache: bool = False,
    ) -> tuple[Array, tuple[Array, Array] | None]:
        """``act(x)``, and what ``backward`` needs."""
        y = activated(self.activation, x)
        return y, (x, y) if keep_cache else None

    def backward(self, d_y: Array, cache: tuple[Array, Array]) -> tuple[Array, dict[str, Array]]:
        """The gradient times the derivative."""
        return back_through(self.activation, d_y, *cache), {}

    @property
    def final_activation(self) -> str | None:  # type: ignore[override]
        """The activation, where it is known by its name alone."""
        return self.activation if isinstance(self.activation, str) else None

    def logits(self, cache: tuple[Array, Array]) -> Array:
        """x."""
        return cache[0]

    def backward_from_logits(
        self,
        d_z: Array,
        cache: tuple[Array, Array],  # noqa: ARG002
    ) -> tuple[Array, dict[str, Array]]:
        """d_z itself."""
        return d_z, {}

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**super().get_config(), "activation": activation_entry(self.activation)}
