"""The loss "crossentropy": which of the three it is shows in the shapes of the first target."""

from typing import Any, NoReturn

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.training.losses.base import Loss
from lstm_ref.training.losses.crossentropy import BinaryError, CategoricalError, SparseError
from lstm_ref.training.losses.measure import Measure

NAMES = ("crossentropy", "ce")
"""In any case, as in Keras."""


def is_binary_or_sparse(target: tuple[int, ...], predicted: tuple[int, ...]) -> tuple[bool, bool]:
    """Whether there is one output a step, and whether the target is a label a step.

    Keras: ``keras.src.trainers.compile_utils.is_binary_or_sparse_categorical``.
    """
    fewer = len(target) < len(predicted)
    return predicted[-1] == 1, fewer or (target[-1] == 1 and predicted[-1] > 1)


class _Undecided(Measure):
    """In the place of a measure before the first target has come."""

    name = "crossentropy"


class CrossentropyByShape(Loss):
    """Binary cross-entropy for one output; else sparse for labels, and categorical for columns."""

    def __init__(self, name: str) -> None:
        super().__init__(_Undecided(), name=name)

    def fit_target(
        self, y: Any, predicted: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Array, bool]:
        """``y`` as the loss reads it; the first one decides which loss it is."""
        if isinstance(self.measure, _Undecided):
            binary, sparse = is_binary_or_sparse(np.shape(y), predicted)
            others: Measure = SparseError() if sparse else CategoricalError()
            self.measure = BinaryError() if binary else others
        return super().fit_target(y, predicted, dtype)

    def get_config(self) -> NoReturn:
        """It has none: its name says all; see `lstm_ref.losses.serialize`."""
        raise NotImplementedError
