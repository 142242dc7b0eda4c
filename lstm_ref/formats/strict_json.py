"""JSON that means one thing: no NaN or Infinity, no key twice in one object, no surprises.

Python's own reader accepts all of these, and other readers then disagree with it.
"""

import json
import math
from typing import Any, NoReturn


def dumps(value: Any, name: str) -> str:
    """``value`` as JSON text. ``name`` says in messages what it is.

    Raises:
        TypeError: something JSON has no word for, naming the place: a NumPy number or array, a
            tuple (it would come back as a list), a key that is no string.
        ValueError: NaN, infinity or text that is not Unicode, naming the place; nesting without
            end.
    """
    try:
        _check(value, name)
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply, or holds itself") from None
    return json.dumps(value, allow_nan=False)


def loads(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: not JSON; NaN, Infinity or a number beyond float64; a key twice in an object;
            an escaped half of a character; nesting too deep.
    """
    try:
        value = json.loads(
            text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique
        )
        _check(value, "it")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _check(value: Any, where: str) -> None:
    """Raise unless every part of ``value`` has one word in JSON."""
    if value is None or type(value) in (bool, int):
        return
    if type(value) is str:
        _check_text(value, where)
    elif type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, which JSON has no word for: use None")
    elif type(value) is list:
        for n, item in enumerate(value):
            _check(item, f"{where}[{n}]")
    elif type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{where} has the key {key!r}, and a key of JSON is a string")
            _check_text(key, f"a key of {where}")
            _check(item, f"{where}[{key!r}]")
    else:
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        raise TypeError(
            f"{where} is a {kind}, which JSON has no word for: use dict, list, str, int, float, "
            "bool or None; from NumPy, .tolist() gives them"
        )


def _check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{where} holds half a character, which no file can hold") from error


def _refuse(literal: str) -> NoReturn:
    raise ValueError(f"it holds {literal}, which is not JSON")


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(f"it holds {literal[:40]}, which is beyond float64")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"it holds the key {twice[:40]!r} twice in one object")
    return unique
