"""lstm_ref: an LSTM written by hand, readable next to its equations, equal to Keras at every step.

The public names, in reading order: the functional core, the model built on it, what prepares its
input and checks its gradient, and the modules under Keras' names, so that a program written for
Keras runs after ``import lstm_ref as keras``. Importing this package imports NumPy and nothing
heavier; Numba is reached when a kernel is first compiled.
"""

from lstm_ref import (
    activations,
    callbacks,
    config,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    nn,
    onnx_op,
    optimizers,
    plots,
    preprocessing,
    regularizers,
    utils,
)
from lstm_ref.backend import dense_backward, dense_forward, lstm_backward, lstm_forward
from lstm_ref.errors import (
    DTypeError,
    MissingExtraError,
    ModelFormatError,
    NonFiniteError,
    ShapeError,
    UnsupportedError,
)
from lstm_ref.layers import Input
from lstm_ref.layers.session import clear_session, floatx, set_floatx, set_seed
from lstm_ref.model import Sequential, load_model
from lstm_ref.sequences import mask_from_lengths, pad_sequences
from lstm_ref.spec.parameters import (
    DenseGradients,
    DenseOutput,
    Dropout,
    LSTMConfig,
    LSTMGradients,
    LSTMOutput,
    LSTMParams,
)
from lstm_ref.training.bptt import RecomputedBPTT, TruncatedBPTT
from lstm_ref.verify import gradcheck

__version__ = "0.1.0"

__all__ = [
    "DTypeError",
    "DenseGradients",
    "DenseOutput",
    "Dropout",
    "Input",
    "LSTMConfig",
    "LSTMGradients",
    "LSTMOutput",
    "LSTMParams",
    "MissingExtraError",
    "ModelFormatError",
    "NonFiniteError",
    "RecomputedBPTT",
    "Sequential",
    "ShapeError",
    "TruncatedBPTT",
    "UnsupportedError",
    "activations",
    "callbacks",
    "clear_session",
    "config",
    "constraints",
    "dense_backward",
    "dense_forward",
    "floatx",
    "gradcheck",
    "initializers",
    "layers",
    "load_model",
    "losses",
    "lstm_backward",
    "lstm_forward",
    "mask_from_lengths",
    "metrics",
    "models",
    "nn",
    "onnx_op",
    "optimizers",
    "pad_sequences",
    "plots",
    "preprocessing",
    "regularizers",
    "set_floatx",
    "set_seed",
    "utils",
]
