"""``keras.callbacks``: ``from lstm_ref.callbacks import EarlyStopping, ModelCheckpoint``.

Those of Keras that are not here are refused by name, with the reason.
"""

from typing import NoReturn

from lstm_ref.errors import UnsupportedError
from lstm_ref.training.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    MonitorCallback,
    ReduceLROnPlateau,
    TerminateOnNaN,
)

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]

REFUSED = {
    "OrbaxCheckpoint": "it writes another library's format; ModelCheckpoint and BackupAndRestore "
    "write files of this one",
    "ProgbarLogger": "fit, evaluate and predict draw their progress themselves, see verbose",
    "RemoteMonitor": "nothing here speaks to a network; a LambdaCallback may send the logs",
    "SwapEMAWeights": "the model gets the averaged weights of an optimizer with use_ema at the end "
    "of fit, and is evaluated with the others until then",
    "TensorBoard": "it writes TensorFlow's own event files; CSVLogger writes a table, and "
    "lstm_ref.plots draws the history",
}
"""Callbacks of Keras that are not here, and why."""


def __getattr__(name: str) -> NoReturn:
    """Name a callback of Keras that is not there, instead of a failed import.

    Raises:
        UnsupportedError: the callback is Keras'.
        AttributeError: nobody has such a callback.
    """
    if name in REFUSED:
        raise UnsupportedError(f"the callback {name} is not supported: {REFUSED[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
