"""Any activation a layer's output may go through, those that mix the units included.

Of one number each is made (`lstm_ref.spec.activations`), or of a row of K numbers another
(`lstm_ref.spec.softmax`); the layers need not know which.
"""

from lstm_ref.backend import (
    activate,
    activation_derivative,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from lstm_ref.conventions import Array
from lstm_ref.spec.activations import ActivationId


def activated(activation: ActivationId, z: Array) -> Array:
    """a = act(z), of z's shape and dtype."""
    if activation == "softmax":
        return softmax(z)
    if activation == "log_softmax":
        return log_softmax(z)
    return activate(activation, z)


def back_through(activation: ActivationId, d_a: Array, z: Array, a: Array) -> Array:
    """The gradient on a = act(z) becomes that on z."""
    if activation == "softmax":
        return softmax_backward(d_a, a)
    if activation == "log_softmax":
        return log_softmax_backward(d_a, a)
    return d_a * activation_derivative(activation, z, a)
