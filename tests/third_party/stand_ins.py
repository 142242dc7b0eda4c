"""An LSTM in the place of the recurrent layers that lstm_ref does not have.

Many of Keras' tests of what is around a cell (`RNN`, `Bidirectional`, stacks) run a ``SimpleRNN``,
a ``GRU`` or a cell written for the test. With an LSTM there, the same program can be run in both
libraries, and each number it looks at be compared. And a ``Dense`` has a sigmoid for a softmax,
where a test is about neither.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

STAND_INS = (
    "Dense", "SimpleRNN", "GRU", "SimpleRNNCell", "GRUCell", "OneStateRNNCell", "TwoStatesRNNCell",
)  # fmt: skip


class _StandIn:
    """A function in the place of a class."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


def is_stand_in(thing: Any) -> bool:
    return isinstance(thing, _StandIn)


def stand_ins(layers: Any, constant: Callable[[float], Any]) -> dict[str, Any]:
    """What stands for each, from the layers of one library and its ``initializers.Constant``.

    Each has as many weights as what it stands for.
    """
    kernels = {"kernel_initializer": constant(0.05), "recurrent_initializer": constant(0.1)}

    def dense(units: int, activation: Any = None, **options: Any) -> Any:
        activation = "sigmoid" if activation == "softmax" else activation
        return layers.Dense(units, activation, **options)

    def simple_rnn(units: int, go_backwards: bool = False, **options: Any) -> Any:
        return layers.RNN(layers.LSTMCell(units, **options), go_backwards=go_backwards)

    def one_state_cell(units: int, state_size: Any = None) -> Any:
        assert state_size in (None, units, [units], (units,))
        return layers.LSTMCell(units, use_bias=False, **kernels)

    def two_states_cell(units: int, state_size: Any = None) -> Any:
        assert state_size is None or list(state_size) == [units, units]
        return layers.LSTMCell(units, **kernels)

    each = (dense, simple_rnn, layers.LSTM, layers.LSTMCell, layers.LSTMCell)
    made = map(_StandIn, (*each, one_state_cell, two_states_cell))
    return dict(zip(STAND_INS, made, strict=True))


def waves(initializer: Any, shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
    """What ``initializers.Constant`` draws where the numbers are those of Keras, in both libraries.

    Constant weights would let gates be swapped; in these, no two weights are alike.
    """
    angles = np.arange(float(np.prod(shape))).reshape(shape)
    return (initializer.value * (1 + np.sin(1 + angles))).astype(dtype or "float32")
