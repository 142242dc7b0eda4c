"""A model's twin in float64, to look at its gradients with digits to spare."""

from typing import Any

import numpy as np

from lstm_ref.formats import ModelRecord
from lstm_ref.model import Sequential


def in_float64(model: Sequential) -> Sequential:
    """A copy of a built, compiled model that computes in float64, with the same code.

    It has the loss of the model, and goes back through time as the model does.
    """
    config = {
        "class_name": "Sequential",
        "config": _with_float64(model.get_config()),
        "compile": None,
        "build_input_shape": list(model.input_shape),
    }
    weights = {name: weight.astype(np.float64) for name, weight in model.named_weights().items()}
    copy = Sequential.from_record(ModelRecord(config, weights))
    copy.compile(loss=model.loss, bptt=model.bptt)
    return copy


def _with_float64(config: Any) -> Any:
    """A config with float64 in place of every dtype, those of layers inside layers included.

    An `Input` of whole numbers stays one.
    """
    if isinstance(config, list):
        return [_with_float64(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    return {
        key: "float64" if key == "dtype" and "int" not in str(value) else _with_float64(value)
        for key, value in config.items()
    }
