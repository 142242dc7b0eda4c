"""What Keras' tests of callbacks import, and how they read a learning rate."""

import operator
import os
import shutil
import tempfile
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
import lstm_ref.callbacks
from lstm_ref.training.optimizers import Optimizer
from tests.third_party.keras_source import Recorded


class Rate(float):
    """A learning rate, which is a variable in Keras."""

    @property
    def value(self) -> Any:
        return np.dtype(lr.floatx()).type(self)


class TemporaryDirectory:
    """``tempfile.TemporaryDirectory``, which does not mind that nobody cleans it up."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp()

    def __del__(self) -> None:
        shutil.rmtree(self.name)


def speak_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let our optimizers give their learning rate as a variable."""
    monkeypatch.setattr(tempfile, "TemporaryDirectory", TemporaryDirectory)
    own = Optimizer.learning_rate
    monkeypatch.setattr(
        Optimizer, "learning_rate", property(lambda self: Rate(own.fget(self)), own.fset)
    )


def names(used: set[str]) -> dict[str, Any]:
    """What the test modules of callbacks import, under Keras' names.

    Args:
        used: where the names are noted down that tests take from ours.
    """
    callbacks = Recorded(lstm_ref.callbacks, used, {})
    return {
        "keras.src.callbacks": callbacks,
        "keras.src.callbacks.BackupAndRestore": lstm_ref.callbacks.BackupAndRestore,
        "keras.src.callbacks.TerminateOnNaN": lstm_ref.callbacks.TerminateOnNaN,
        "keras.src.callbacks.callback.Callback": lstm_ref.callbacks.Callback,
        "keras.src.models.sequential.Sequential": lr.Sequential,
        "keras.src.testing.test_utils": SimpleNamespace(get_test_data=get_test_data),
        "keras.src.utils.file_utils": SimpleNamespace(exists=os.path.exists, join=os.path.join),
        "keras.src.utils.io_utils": SimpleNamespace(),
        "keras.src.utils.numerical_utils": SimpleNamespace(
            to_categorical=lambda y: np.eye(max(y) + 1)[y]
        ),
    }


OPS = {"less": operator.lt, "greater": operator.gt}
"""Of ``keras.ops``, what a callback compares with."""


def get_test_data(
    train_samples: int, test_samples: int, input_shape: tuple[int, ...], num_classes: int
) -> Any:
    """(x, y) to train on, and to test with: rows around the number of their class."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(train_samples + test_samples) % num_classes)
    x = (rng.normal(size=(len(y), *input_shape)) + y[:, None]).astype("float32")
    return (x[:train_samples], y[:train_samples]), (x[train_samples:], y[train_samples:])
