"""Keras' layers over the functional core: names, arguments, defaults and weight order are Keras'.

One layer a file. What is common to them is in `base`; how weights begin is in `initializers`.
"""

from typing import Any

from lstm_ref.errors import UnsupportedError
from lstm_ref.layers.base import Layer
from lstm_ref.layers.dense import Dense
from lstm_ref.layers.input import Input, InputLayer
from lstm_ref.layers.lstm import LSTM
from lstm_ref.layers.masking import Masking

__all__ = ["LAYERS", "LSTM", "Dense", "Input", "InputLayer", "Layer", "Masking"]

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer for layer in (InputLayer, Masking, LSTM, Dense)
}
"""The layers a saved model may name. Nothing else is ever made from a file."""

NOT_THERE = frozenset(
    {
        "Activation", "Add", "Attention", "AveragePooling1D", "BatchNormalization",
        "Bidirectional", "Concatenate", "Conv1D", "ConvLSTM1D", "Dropout", "Embedding", "Flatten",
        "GRU", "GRUCell", "GlobalAveragePooling1D", "LSTMCell", "Lambda", "LayerNormalization",
        "LeakyReLU", "MaxPooling1D", "MultiHeadAttention", "Normalization", "Permute", "RNN",
        "ReLU", "RepeatVector", "Rescaling", "Reshape", "SimpleRNN", "SimpleRNNCell", "Softmax",
        "SpatialDropout1D", "StackedRNNCells", "TextVectorization", "TimeDistributed",
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
        instead = ": Dense works at every time step by itself" if name == "TimeDistributed" else ""
        there = ", ".join(layer for layer in __all__ if layer in ("Input", *LAYERS))
        raise UnsupportedError(f"the layer {name} is not supported yet{instead}. There are {there}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
