"""An activation as a layer of its own. Keras: ``keras.layers.Activation``."""

from typing import Any

from lstm_ref.backend import activate, activation_derivative
from lstm_ref.conventions import Array
from lstm_ref.layers.base import Layer, activation_entry
from lstm_ref.spec.activations import activation_id


class Activation(Layer):
    """``act(x)``, number by number. A mask passes through.

    Args:
        activation: a name, or a name and its parameters, as the activations of `LSTM`.
    """

    def __init__(self, activation: Any, **common: Any) -> None:
        super().__init__(**common)
        self.activation = activation_id(activation)

    def forward(
        self,
        x: Array,
        mask: Array | None = None,  # noqa: ARG002
        training: bool = False,  # noqa: ARG002
        keep_cache: bool = False,
    ) -> tuple[Array, tuple[Array, Array] | None]:
        """``act(x)``, and what ``backward`` needs."""
        y = activate(self.activation, x)
        return y, (x, y) if keep_cache else None

    def backward(self, d_y: Array, cache: tuple[Array, Array]) -> tuple[Array, dict[str, Array]]:
        """The gradient times the derivative."""
        return d_y * activation_derivative(self.activation, *cache), {}

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**super().get_config(), "activation": activation_entry(self.activation)}
