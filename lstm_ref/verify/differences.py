"""The slope of a function from its values, and what kinks and rounding do to it.

The central difference of fourth order,

    f'(0) ≈ (8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h,

is off by h⁴ f⁽⁵⁾/30, so at h = 1e-3 a smooth function leaves about 1e-13 of truncation, and float64
about 1e-12 of rounding: ten correct digits are the rule. (Abramowitz and Stegun, Handbook of
Mathematical Functions, 25.3.21.)

relu and the absolute error have kinks, where the formula averages two slopes. A kink beside the
point leaves the picture when h shrinks, so where the largest step disagrees, smaller ones are
tried, and the one that agrees best with the next is believed. A kink at the point itself stays:
there the slopes on both sides differ however small the step, and any slope between them is as
right as another. Frameworks choose one, relu'(0) = 0.
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


class Slope(NamedTuple):
    """A slope as it was claimed, and as it was found."""

    numeric: float
    """As found."""
    relative_error: float
    """The distance of the two, relative to the larger, or to what rounding lets be seen."""
    kink: bool
    """The slopes on both sides differ, and the claimed one lies between them."""


def compare_slope(
    f: Callable[[float], float], claimed: float, rtol: float, floor: float, scale: float = 1.0
) -> Slope:
    """The slope of ``f`` at 0 beside the ``claimed`` one.

    Args:
        f: a function of one number.
        claimed: the slope it is said to have.
        rtol: the relative error that counts as agreement; smaller steps are tried above it.
        floor: slopes are compared relative to at least this.
        scale: of the argument; steps are relative to it.
    """
    at_0 = f(0.0)

    def judge(numeric: float, uncertainty: float) -> Slope:
        if not all(map(math.isfinite, (claimed, numeric, uncertainty))):
            return Slope(numeric, math.inf, kink=False)
        size = max(abs(claimed), abs(numeric), floor, uncertainty / rtol)
        error = 0.0 if claimed == numeric else abs(claimed - numeric) / size
        return Slope(numeric, error, kink=False)

    steps = [step * scale for step in STEPS]
    rounding = [1.5 * ROUNDING * abs(at_0) / h for h in steps]
    first = central_difference(f, steps[0])
    slope = judge(first, rounding[0])
    if slope.relative_error <= rtol:
        return slope
    # Each step is as uncertain as its rounding, and as its distance from the next smaller one.
    found = [first, *(central_difference(f, h) for h in steps[1:])]
    pairs = zip(pairwise(found), pairwise(rounding), strict=True)
    uncertain = [abs(d - smaller) + r + next_r for (d, smaller), (r, next_r) in pairs]
    best = min(range(len(uncertain)), key=uncertain.__getitem__)
    slope = judge(found[best], uncertain[best])
    if slope.relative_error <= rtol:
        return slope
    tolerance = max(floor, abs(claimed)) * rtol
    return slope._replace(kink=_kink_takes_in(f, at_0, claimed, tolerance, scale))


def central_difference(f: Callable[[float], float], h: float) -> float:
    """The slope of ``f`` at 0 from four of its values, of fourth order."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def _kink_takes_in(
    f: Callable[[float], float], at_0: float, claimed: float, tolerance: float, scale: float
) -> bool:
    """Whether there is a kink at 0, and ``claimed`` lies between the slopes of its sides."""
    gaps, sides = [], (math.nan, math.nan)
    for step in (1e-4, 1e-6):
        h = step * scale
        sides = ((at_0 - f(-h)) / h, (f(h) - at_0) / h)
        gaps.append(abs(sides[1] - sides[0]))
    rounding = 4 * ROUNDING * abs(at_0) / h
    # A smooth function's gap is h·f'', so the second would be a hundredth of the first.
    stays = gaps[1] > max(gaps[0] / 2, 2 * rounding, tolerance)
    return stays and min(sides) - rounding <= claimed <= max(sides) + rounding
