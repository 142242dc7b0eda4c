"""The slope of a function from its values, and what kinks and rounding do to it.

The central difference of fourth order,

    f'(0) ≈ (8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h,

is off by h⁴ f⁽⁵⁾/30, so at h = 1e-3 a smooth function leaves about 1e-13 of truncation, and float64
about 1e-12 of rounding: ten correct digits are the rule. From one side alone,

    f'(0) ≈ (−25 f(0) + 48 f(h) − 36 f(2h) + 16 f(3h) − 3 f(4h)) / 12h

is of fourth order too. (Abramowitz and Stegun, Handbook of Mathematical Functions, table 25.2.)

relu and the absolute error have kinks, where a central difference averages two slopes. A kink
beside the point leaves the picture when h shrinks, so where the largest step disagrees, smaller
ones are tried, and one is believed when the next finds the same. A kink too close for that, or at
the point itself, is looked at from both sides: the slope claimed must be that of a side, or lie
between the two. At the point itself all of these are right; frameworks choose one, relu'(0) = 0.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)

# One value of f is a sum of many rounded terms: a few roundings of the result, measured on LSTMs of
# 5 to 500 steps, allowed for generously.
ROUNDING = 16 * float(np.finfo(np.float64).eps)

Function = Callable[[float], float]


class Slope(NamedTuple):
    """A slope as it was claimed, and as it was found."""

    numeric: float
    """As found."""
    relative_error: float
    """The distance of the two, relative to the larger, or to what can be seen at all."""
    kink: bool
    """The slopes on both sides differ, and the claimed one is among them or between them."""


def compare_slope(
    f: Function, claimed: float, rtol: float, floor: float, scale: float = 1.0
) -> Slope:
    """The slope of ``f`` at 0 beside the ``claimed`` one.

    Args:
        f: a function of one number.
        claimed: the slope it is said to have.
        rtol: the relative error that counts as agreement; smaller steps are tried above it.
        floor: slopes are compared relative to at least this.
        scale: of the argument; steps are relative to it.
    """
    steps = [step * scale for step in STEPS]
    noise = ROUNDING * max(abs(f(s)) for s in (0.0, steps[0], -steps[0]))
    smallest = max(abs(claimed), floor)

    def judge(numeric: float, rounding: float) -> Slope:
        if not all(map(math.isfinite, (claimed, numeric, rounding))):
            return Slope(numeric, math.inf, kink=False)
        size = max(smallest, abs(numeric), rounding / rtol)
        error = 0.0 if claimed == numeric else abs(claimed - numeric) / size
        return Slope(numeric, error, kink=False)

    first = judge(central_difference(f, steps[0]), 1.5 * noise / steps[0])
    if first.relative_error <= rtol:
        return first
    slopes = [central_difference(f, h) for h in steps]
    central = judge(*_believed(slopes, [1.5 * noise / h for h in steps], rtol, smallest))
    if central.relative_error <= rtol:
        return central

    left, right = (
        _believed(
            [one_sided_difference(f, side * h) for h in steps],
            [10.7 * noise / h for h in steps],
            rtol,
            smallest,
        )
        for side in (-1, 1)
    )
    agreeing = [s for s in (judge(*left), judge(*right)) if s.relative_error <= rtol]
    if agreeing:
        return agreeing[0]._replace(kink=True)
    low, high = sorted((left[0], right[0]))
    if low < claimed < high and high - low > left[1] + right[1]:
        return Slope(central.numeric, central.relative_error, kink=True)
    return central


def central_difference(f: Function, h: float) -> float:
    """The slope of ``f`` at 0 from two values on each side, of fourth order."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def one_sided_difference(f: Function, h: float) -> float:
    """The slope of ``f`` at 0 from 0 and four values on the side of ``h``, of fourth order."""
    others = 48 * f(h) - 36 * f(2 * h) + 16 * f(3 * h) - 3 * f(4 * h)
    return (others - 25 * f(0.0)) / (12 * h)


def _believed(
    slopes: list[float], rounding: list[float], rtol: float, smallest: float
) -> tuple[float, float]:
    """Of slopes found with ever smaller steps, the one to believe, and how far rounding moves it.

    A slope is believed when the next smaller step finds the same, but for rounding and ``rtol``; of
    several, the one with the least between them. NaN when none is: there is more than one slope.
    """
    best, believed, moved = math.inf, math.nan, math.nan
    for (slope, finer), (r, finer_r) in zip(pairwise(slopes), pairwise(rounding), strict=True):
        apart = abs(slope - finer)
        if apart <= r + finer_r + rtol * max(smallest, abs(slope)) and apart + r < best:
            best, believed, moved = apart + r, slope, r + finer_r
    return believed, moved
