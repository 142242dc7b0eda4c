"""How a gradient becomes a new weight: Keras' optimizers.

Each update rule is one pure function of a weight w, its gradient g and what was remembered about
it from earlier steps, and every line of it is one line of the formula above it. The formulas are
those of Keras (``keras.optimizers``), which differ from the papers' in where ε stands.

Read in this order: `sgd` (the simplest rule), `base` (a step, and what happens around a rule),
then the other rules: `adam` (and AdamW), `nadam`, `rmsprop`, `adagrad`. What they stand on:

options    the options that all optimizers have
clipping   gradients made smaller
memory     what is remembered, out into a checkpoint and back
state      the form of it
blocks     large weights updated piece by piece, for the cache
"""

from collections.abc import Mapping
from typing import Any

from lstm_ref.errors import UnsupportedError
from lstm_ref.training.optimizers.adagrad import Adagrad
from lstm_ref.training.optimizers.adam import Adam, AdamW
from lstm_ref.training.optimizers.base import Optimizer
from lstm_ref.training.optimizers.nadam import Nadam
from lstm_ref.training.optimizers.rmsprop import RMSprop
from lstm_ref.training.optimizers.sgd import SGD
from lstm_ref.training.optimizers.state import State, Step

__all__ = [
    "OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Nadam", "Optimizer", "RMSprop", "State",
    "Step", "deserialize", "get", "serialize",
]  # fmt: skip

OPTIMIZERS: dict[str, type[Optimizer]] = {
    cls.__name__.lower(): cls for cls in (SGD, Adam, AdamW, Nadam, RMSprop, Adagrad)
}
"""Every optimizer by its name in lower case, as names are compared."""

SPARED = "exclude_from_weight_decay"
"""Beside the config: the weights without decay, which Keras' config leaves out."""


def get(identifier: Any) -> Optimizer | None:
    """The optimizer meant by a name, an object or a ``{"class_name", "config"}`` dict.

    None is None, as in Keras.

    Raises:
        UnsupportedError: for anything else, naming it.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    return deserialize(identifier)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """What `get` reads back.

    Raises:
        UnsupportedError: the learning rate is a function, or a schedule, of one's own.
    """
    record = {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}
    names, pattern = optimizer.not_decayed, optimizer.not_decayed_pattern
    if names or pattern is not None:
        record[SPARED] = {
            "var_list": sorted(names), "var_names": [] if pattern is None else [pattern]
        }  # fmt: skip
    return record


def deserialize(config: Mapping[str, Any], custom_objects: Any = None) -> Optimizer:
    """The optimizer that `serialize` described; one of Keras' descriptions will do, too.

    Raises:
        UnsupportedError: an optimizer, an argument or a schedule that is not there, by name, or
            `custom_objects`.
        ValueError: a config that makes no sense.
    """
    if custom_objects is not None:
        raise UnsupportedError(
            "deserialize(custom_objects=...) is not supported: only the optimizers of "
            "lstm_ref.optimizers are made from a config"
        )
    name = config.get("class_name") if isinstance(config, Mapping) else None
    if not isinstance(name, str) or name.lower() not in OPTIMIZERS:
        names = [cls.__name__ for cls in OPTIMIZERS.values()]
        raise UnsupportedError(
            f"optimizer={config if name is None else name!r} is not supported: "
            f"{', '.join(map(repr, OPTIMIZERS))} are, as names or as "
            f"{', '.join(f'{n}(...)' for n in names)}"
        )
    optimizer = OPTIMIZERS[name.lower()].from_config(config.get("config") or {})
    if spared := config.get(SPARED):
        optimizer.exclude_from_weight_decay(**spared)
    return optimizer
