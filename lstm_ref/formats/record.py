"""What a model file holds, whatever its format: plain data that knows no model class."""

from dataclasses import dataclass, field
from typing import Any

from lstm_ref.conventions import Array


@dataclass(frozen=True)
class TrainingRecord:
    """What a training remembers besides the weights."""

    arrays: dict[str, Array]
    """Such as ``"optimizer/momentum/lstm/kernel"``, to a float32 or float64 array."""
    numbers: dict[str, Any]
    """Such as the optimizer's step count: JSON-able."""


@dataclass(frozen=True)
class ModelRecord:
    """A model as a configuration, weights and notes."""

    config: dict[str, Any]
    """The architecture, in the words of Keras' ``model.get_config()``: JSON-able."""
    weights: dict[str, Array]
    """``"layer/weight"`` to a float32 or float64 array in Keras' layout, in Keras' order."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What the user wants to travel with the model, such as column names: JSON-able."""
    training: TrainingRecord | None = None
    """What a training goes on from; None where the model is only to be used."""
