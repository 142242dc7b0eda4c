"""What `compile` was told, as a model file holds it, and back.

A function of one's own cannot be in a file, of which nothing is executed. Its name is, and whoever
loads the model gives the function again under that name: Keras' ``custom_objects``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lstm_ref.errors import UnsupportedError
from lstm_ref.training import bptt, losses, metrics, optimizers
from lstm_ref.training.evaluator import Evaluator

OWN = "own"
"""In the place of the class name of a function of one's own."""


def to_config(model: Evaluator) -> dict[str, Any] | None:
    """The settings of a compiled model, JSON-able; None for one that is not compiled."""
    if model.optimizer is None:
        return None
    report = model.report
    return {
        "optimizer": _described(optimizers.serialize, model.optimizer),
        "loss": None if model.loss is None else _described(losses.serialize, model.loss),
        "metrics": [_described(metrics.serialize, m) for m in report.metrics],
        "weighted_metrics": [_described(metrics.serialize, m) for m in report.weighted_metrics],
        "bptt": bptt.serialize(model.bptt),
    }


def from_config(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The arguments of `compile`.

    Raises:
        UnsupportedError: a function of one's own that is not among `custom_objects`.
    """
    own = custom_objects or {}
    alone = {name: _given(config.get(name), own) for name in ("optimizer", "loss")}
    lists = {
        name: [_given(entry, own) for entry in config.get(name) or []]
        for name in ("metrics", "weighted_metrics")
    }
    return {**config, **alone, **lists}


def _described(serialize: Callable[[Any], Any], thing: Any) -> Any:
    try:
        return serialize(thing)
    except UnsupportedError:
        return {"class_name": OWN, "config": {"name": thing.name}}


def _given(entry: Any, own: Mapping[str, Any]) -> Any:
    """What an entry of the file stands for."""
    if not isinstance(entry, dict) or entry.get("class_name") != OWN:
        return entry
    name = entry["config"]["name"]
    if name not in own:
        raise UnsupportedError(
            f"the model was compiled with {name!r}, which is or has a function or a class of your "
            f"own, and a file cannot hold it: load_model(path, custom_objects={{{name!r}: ...}}) "
            "gives it again, a loss as (function, gradient); load_model(path, compile=False) does "
            "without"
        )
    return own[name]
