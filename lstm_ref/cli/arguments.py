"""Arguments that several verbs check alike. What cannot be is refused before anything is done."""

import argparse
import math
from typing import Any


def positive_int(text: str) -> int:
    """A whole number from 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number


def positive_number(text: str) -> float:
    """A number above 0."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def fraction(text: str) -> float:
    """A number from 0 to less than 1."""
    number = _number(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to less than 1")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def column_list(parser: argparse.ArgumentParser, name: str, **options: Any) -> None:
    """An option that takes names of columns, several after one or one after each."""
    parser.add_argument(name, nargs="+", action="extend", metavar="COL", **options)
