"""Keras' layers over the functional core: names, arguments, defaults and weight order are Keras'.

One layer a file. What is common to them is in `base`; how weights begin is in `initializers`.
"""

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
