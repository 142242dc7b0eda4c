"""The checks of arguments that must be numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_ref.checks import is_whole


def number(
    value: Any,
    owner: object,
    argument: str,
    fits: Callable[[float], bool] = lambda _: True,
    need: str = "a number is needed",
) -> float:
    """``value`` as a number of Python's; an int is left an int.

    Args:
        value: what came.
        owner: the object whose constructor was given it, for the message.
        argument: the name under which it came.
        fits: what else must hold; NaN should not.
        need: the end of the message: what is needed.

    Raises:
        ValueError: it is no number, or does not fit.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not is_number or not fits(value):
        raise ValueError(f"{type(owner).__name__}({argument}={value!r}): {need}")
    plain: float = value.item() if isinstance(value, np.generic) else value
    return plain


def whole(value: Any, owner: object, argument: str, least: int, need: str) -> int:
    """``value`` as an int of at least ``least``; otherwise as `number`.

    Raises:
        ValueError: it is something else.
    """
    if not is_whole(value, least):
        raise ValueError(f"{type(owner).__name__}({argument}={value!r}): {need}")
    return int(value)


def whole_number(value: Any, argument: str, least: int = 1) -> int:
    """The value of an argument of a method that counts something, as an int.

    Raises:
        ValueError: not a whole number of at least ``least``.
    """
    if not is_whole(value, least):
        kind = "positive whole number" if least else "whole number, 0 or more,"
        raise ValueError(f"{argument}={value!r}: a {kind} is needed")
    return int(value)
