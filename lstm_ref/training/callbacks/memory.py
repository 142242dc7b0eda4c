"""What callbacks remember, divided into what JSON can hold and arrays, and put together again."""

import math
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ModelFormatError
from lstm_ref.training.callbacks.callback import Callback

ARRAY, FLOAT = "@array", "@float"
"""Keys of an object that stands for an array, or for a float that JSON has no word for."""


def memories(callbacks: list[Callback]) -> dict[str, dict[str, Any]]:
    """The states of those callbacks that have one, by their classes' names.

    The second one of a class is "EarlyStopping 2".
    """
    return {name: state for name, callback in _named(callbacks) if (state := callback.get_state())}


def remember(callbacks: list[Callback], states: dict[str, dict[str, Any]]) -> None:
    """Give the states of `memories` back.

    Raises:
        ValueError: other callbacks than those that gave them.
    """
    having = {name: callback for name, callback in _named(callbacks) if callback.get_state()}
    if set(having) != set(states):
        raise ValueError(
            f"the fit that was backed up had the callbacks {', '.join(states) or 'none'}, and this "
            f"one has {', '.join(having) or 'none'} (those that remember nothing apart): it goes "
            "on with the same ones; to begin from nothing, delete the folder of the backup"
        )
    for name, callback in having.items():
        callback.set_state(states[name])


def _named(callbacks: list[Callback]) -> list[tuple[str, Callback]]:
    counts: dict[str, int] = {}
    named = []
    for callback in callbacks:
        kind = type(callback).__name__
        counts[kind] = counts.get(kind, 0) + 1
        named.append((kind if counts[kind] == 1 else f"{kind} {counts[kind]}", callback))
    return named


def divided(value: Any, arrays: dict[str, Array]) -> Any:
    """``value`` as JSON can hold it; its arrays are added to ``arrays``, under a name each."""
    if isinstance(value, np.ndarray):
        name = f"callbacks/{len(arrays)}"
        arrays[name] = value
        return {ARRAY: name}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT: str(value)}
    if isinstance(value, dict):
        return {name: divided(part, arrays) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [divided(part, arrays) for part in value]
    return value


def joined(value: Any, arrays: dict[str, Array]) -> Any:
    """The reverse of `divided`; tuples have become lists.

    Raises:
        ModelFormatError: an array is missing, or a float is none.
    """
    if isinstance(value, list):
        return [joined(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    try:
        if set(value) == {ARRAY}:
            return arrays[value[ARRAY]]
        if set(value) == {FLOAT}:
            return float(value[FLOAT])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(f"{value!r} stands for nothing in the file") from error
    return {name: joined(part, arrays) for name, part in value.items()}
