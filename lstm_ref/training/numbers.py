"""The check of an argument that must be a number."""

from collections.abc import Callable
from typing import Any

import numpy as np


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
    if not isinstance(value, int | np.integer):
        raise ValueError(f"{type(owner).__name__}({argument}={value!r}): {need}")
    return int(number(value, owner, argument, lambda n: n >= least, need))
