"""Keras' layers over the functional core: names, arguments, defaults and weight order are Keras'.

One layer a file. What is common to them is in `base`, and in `composite` for layers made of
layers; how weights begin is in `initializers`, what they are held to in `regularizers` and
`constraints`.
"""

from typing import Any

from lstm_ref.errors import UnsupportedError
from lstm_ref.layers.activation import Activation
from lstm_ref.layers.base import Layer
from lstm_ref.layers.bidirectional import Bidirectional
from lstm_ref.layers.dense import Dense
from lstm_ref.layers.dropout import Dropout
from lstm_ref.layers.embedding import Embedding
from lstm_ref.layers.input import Input, InputLayer
from lstm_ref.layers.lstm import LSTM
from lstm_ref.layers.lstm_cell import LSTMCell
from lstm_ref.layers.masking import Masking
from lstm_ref.layers.registry import LAYERS
from lstm_ref.layers.repeat_vector import RepeatVector
from lstm_ref.layers.rnn import RNN
from lstm_ref.layers.softmax import Softmax
from lstm_ref.layers.stacked_rnn_cells import StackedRNNCells
from lstm_ref.layers.time_distributed import TimeDistributed

__all__ = [
    "LAYERS",
    "LSTM",
    "RNN",
    "Activation",
    "Bidirectional",
    "Dense",
    "Dropout",
    "Embedding",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Layer",
    "Masking",
    "RepeatVector",
    "Softmax",
    "StackedRNNCells",
    "TimeDistributed",
]

_KINDS: tuple[type[Layer], ...] = (
    *(InputLayer, Masking, Embedding, LSTM, LSTMCell, RNN, StackedRNNCells, Bidirectional),
    *(Dense, TimeDistributed, Dropout, Activation, Softmax, RepeatVector),
)
LAYERS.update((kind.__name__, kind) for kind in _KINDS)

NOT_THERE = frozenset(
    {
        "Add", "Attention", "AveragePooling1D", "BatchNormalization", "Concatenate", "Conv1D",
        "ConvLSTM1D", "Flatten", "GRU", "GRUCell", "GlobalAveragePooling1D", "Lambda",
        "LayerNormalization", "LeakyReLU", "MaxPooling1D", "MultiHeadAttention", "Normalization",
        "Permute", "ReLU", "Rescaling", "Reshape", "SimpleRNN", "SimpleRNNCell",
        "SpatialDropout1D", "TextVectorization",
    }
)  # fmt: skip
"""Layers of Keras that programs with an LSTM often import, and that are not there."""


def __getattr__(name: str) -> Any:
    """Name a layer of Keras that is not there, instead of a failed import.

    Raises:
        UnsupportedError: the layer is Keras'.
        AttributeError: nobody has such a layer.
    """
    if name in NOT_THERE:
        there = ", ".join(layer for layer in __all__ if layer in ("Input", *LAYERS))
        raise UnsupportedError(f"the layer {name} is not supported yet. There are {there}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
