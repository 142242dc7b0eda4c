"""The constructors' arguments, checked: the sentences begin as PyTorch's do."""

import numbers
from typing import Any

import numpy as np


def whole(value: Any, name: str) -> int:
    """A whole number as an int.

    Raises:
        TypeError: something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} should be of type int, got: {type(value).__name__} {value!r}")
    return int(value)


def positive(value: Any, name: str) -> int:
    """A size as an int.

    Raises:
        TypeError: no whole number. ValueError: not a positive one.
    """
    size = whole(value, name)
    if size <= 0:
        raise ValueError(f"{name} must be greater than zero, and {size} came")
    return size


def flag(value: Any, name: str) -> bool:
    """True or False, and nothing that could be taken for it.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} should be of type bool, got: {type(value).__name__} {value!r}")
    return bool(value)


def probability(value: Any) -> float:
    """The dropout rate.

    Raises:
        ValueError: no number from 0 to 1.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (number and 0 <= value <= 1):
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element "
            f"being zeroed, and {value!r} came"
        )
    return float(value)


def projection_size(value: Any, H: int) -> int:
    """The width of a projected hidden state, or 0.

    Raises:
        TypeError: no whole number. ValueError: a negative one, or one not smaller than H.
    """
    P = whole(value, "proj_size")
    if P < 0:
        raise ValueError(
            f"proj_size should be a positive integer or zero to disable projections, and {P} came"
        )
    if P >= H:
        raise ValueError(
            f"proj_size has to be smaller than hidden_size: {P} came, and hidden_size is {H}"
        )
    return P
