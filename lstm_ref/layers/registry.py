"""The layers by name: what a saved model, or a layer made of layers, may hold.

Nothing else is ever made from a file. `lstm_ref.layers` fills the table.
"""

from collections.abc import Mapping
from typing import Any

from lstm_ref.errors import ModelFormatError, UnsupportedError
from lstm_ref.layers.base import Layer

LAYERS: dict[str, type[Layer]] = {}


def serialize(layer: Layer) -> dict[str, Any]:
    """What `deserialize` reads back: the class name and the config."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(entry: Any) -> Layer:
    """The layer of one ``{"class_name", "config"}``; a layer is returned as it is.

    Raises:
        UnsupportedError: a layer that is not there, by name.
        ModelFormatError: something else, or a config that does not belong to the layer.
    """
    if isinstance(entry, Layer):
        return entry
    if not isinstance(entry, Mapping) or not {"class_name", "config"} <= set(entry):
        raise ModelFormatError(
            f'{entry!r} describes no layer: {{"class_name": ..., "config": {{...}}}} is needed'
        )
    name = entry["class_name"]
    if name not in LAYERS:
        raise UnsupportedError(
            f"the layer {name!r} is not supported: there are {', '.join(LAYERS)}"
        )
    return LAYERS[name].from_config(entry["config"])
