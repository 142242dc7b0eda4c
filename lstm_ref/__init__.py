"""lstm_ref: an LSTM written by hand, readable next to its equations, equal to Keras at every step.

The public names, in reading order: the functional core, then the model built on it. Importing this
package imports NumPy and nothing heavier; Numba is reached when a kernel first runs.
"""

from lstm_ref.backend import dense_backward, dense_forward, lstm_backward, lstm_forward
from lstm_ref.errors import (
    DTypeError,
    MissingExtraError,
    ModelFormatError,
    ShapeError,
    UnsupportedError,
)
from lstm_ref.spec.parameters import (
    DenseGradients,
    DenseOutput,
    LSTMConfig,
    LSTMGradients,
    LSTMOutput,
    LSTMParams,
)

__version__ = "0.1.0"

__all__ = [
    "DTypeError",
    "DenseGradients",
    "DenseOutput",
    "LSTMConfig",
    "LSTMGradients",
    "LSTMOutput",
    "LSTMParams",
    "MissingExtraError",
    "ModelFormatError",
    "ShapeError",
    "UnsupportedError",
    "dense_backward",
    "dense_forward",
    "lstm_backward",
    "lstm_forward",
]
