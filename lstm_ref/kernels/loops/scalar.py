"""exp and its relatives from + - × ÷ and fma alone: the same bits on every processor.

The C library's versions differ between systems and stop loops from being vectorized. These are
short and branch-free, and exp, tanh and sigmoid are at most 2 ULP off; NaN and ±inf flow through.
Each is written once for float32 and float64: ``real(x, 0.5)`` is the constant 0.5 in x's kind.

The reduction is Cody & Waite's (1980): x = n·ln 2 + r with |r| ≤ ln 2 / 2, then eˣ = 2ⁿ·eʳ, and eʳ
by its Taylor polynomial, whose first omitted term is below a tenth of an ULP.
"""

import math

import numpy as np

from lstm_ref.kernels.loops.vector import (
    Real,
    copysign,
    fma,
    is_single,
    loop,
    power_of_two,
    real,
)

LOG2_E = 1 / math.log(2)

# ln 2 in two parts; the first has so few bits that n times it is exact.
LN2_HIGH_32 = 0.693359375
LN2_LOW_32 = -2.121944400546905827679e-4
LN2_HIGH_64 = 6.93147180369123816490e-01
LN2_LOW_64 = 1.90821492927058770002e-10

ROUNDER_32 = 1.5 * 2.0**23  # adding and subtracting it rounds to a whole number
ROUNDER_64 = 1.5 * 2.0**52

F = [1 / math.factorial(n) for n in range(14)]  # Taylor coefficients of e^r
F2, F3, F4, F5, F6, F7, F8, F9, F10, F11, F12, F13 = F[2:]


@loop
def whole_part(x: Real) -> Real:
    """n, the whole number nearest to x / ln 2, as a float."""
    rounder = real(x, ROUNDER_32) if is_single(x) else real(x, ROUNDER_64)
    return fma(x, real(x, LOG2_E), rounder) - rounder


@loop
def reduced(x: Real, n: Real) -> Real:
    """r = x - n·ln 2."""
    if is_single(x):
        return fma(n, real(x, -LN2_LOW_32), fma(n, real(x, -LN2_HIGH_32), x))
    return fma(n, real(x, -LN2_LOW_64), fma(n, real(x, -LN2_HIGH_64), x))


@loop
def expm1_taylor(r: Real) -> Real:
    """e^r - 1 for |r| ≤ ln 2 / 2, accurate relative to its size: r + r²·(1/2! + r/3! + …)."""
    if is_single(r):
        q = real(r, F7)
    else:
        q = real(r, F13)
        q = fma(q, r, real(r, F12))
        q = fma(q, r, real(r, F11))
        q = fma(q, r, real(r, F10))
        q = fma(q, r, real(r, F9))
        q = fma(q, r, real(r, F8))
        q = fma(q, r, real(r, F7))
    q = fma(q, r, real(r, F6))
    q = fma(q, r, real(r, F5))
    q = fma(q, r, real(r, F4))
    q = fma(q, r, real(r, F3))
    q = fma(q, r, real(r, F2))
    return fma(r * r, q, r)


@loop
def exp(x: Real) -> Real:
    """e^x, from the smallest denormal to overflow."""
    top = real(x, 89.0) if is_single(x) else real(x, 710.0)
    bottom = real(x, -104.0) if is_single(x) else real(x, -746.0)
    x = top if x > top else x  # e^top is inf, e^bottom is 0; NaN passes both comparisons
    x = bottom if x < bottom else x
    n = whole_part(x)
    p = real(x, 1.0) + expm1_taylor(reduced(x, n))
    # 2ⁿ may lie outside the normal range where the result does not: multiply in two halves.
    half = whole_part(n * real(x, 0.5 / LOG2_E))
    return p * power_of_two(half) * power_of_two(n - half)


@loop
def exp_negative(x: Real) -> Real:
    """e^x for x ≤ 0: one scale is enough, set high and brought down by a constant afterwards."""
    bottom = real(x, -104.0) if is_single(x) else real(x, -746.0)
    x = bottom if x < bottom else x
    n = whole_part(x)
    p = real(x, 1.0) + expm1_taylor(reduced(x, n))
    lift = real(x, 64.0) if is_single(x) else real(x, 512.0)
    lower = real(x, 2.0**-64) if is_single(x) else real(x, 2.0**-512)
    return p * power_of_two(n + lift) * lower


@loop
def expm1(x: Real) -> Real:
    """e^x - 1, accurate relative to its size near 0; for x up to 88 (float32) or 709 (float64).

    eˣ - 1 = 2ⁿ·(e^r - 1) + (2ⁿ - 1), where each part is accurate by itself.
    """
    bottom = real(x, -40.0)  # the result is -1 well before
    x = bottom if x < bottom else x
    n = whole_part(x)
    scale = power_of_two(n)
    return fma(scale, expm1_taylor(reduced(x, n)), scale - real(x, 1.0))


TANH_EDGE = 0.55
"""Below it tanh is a polynomial, above it comes from e^2x: each where it loses no digits."""

# (tanh x / x - 1) / x² in powers of x²: the polynomials through its values at the 5 and 11
# Chebyshev nodes of 0 ≤ x² ≤ 0.55², off by 4e-9 and, as float64 numbers, 6e-18 relative to tanh x.
TANH_32 = (-0.33333332007977, 0.13333113729021, -0.053909428827461, 0.021309388664443,
           -0.0066102278311147)  # fmt: skip
TANH_64 = (-0.33333333333333332561, 0.13333333333332714826, -0.053968253967434014504,
           0.021869488493666941903, -0.0088632343978143548378, 0.0035921103786890238773,
           -0.0014556618301007160336, 0.00058893605200740577697, -0.00023463474108872371445,
           0.000085113136855776715155, -0.000020602765376366341605)  # fmt: skip
A0, A1, A2, A3, A4 = TANH_32
B0, B1, B2, B3, B4, B5, B6, B7, B8, B9, B10 = TANH_64


@loop
def tanh_polynomial(x: Real) -> Real:
    """tanh x for |x| ≤ 0.55: x + x³·(…)."""
    y = x * x
    if is_single(x):
        q = fma(real(x, A4), y, real(x, A3))
        q = fma(q, y, real(x, A2))
        q = fma(q, y, real(x, A1))
        q = fma(q, y, real(x, A0))
    else:
        q = fma(real(x, B10), y, real(x, B9))
        q = fma(q, y, real(x, B8))
        q = fma(q, y, real(x, B7))
        q = fma(q, y, real(x, B6))
        q = fma(q, y, real(x, B5))
        q = fma(q, y, real(x, B4))
        q = fma(q, y, real(x, B3))
        q = fma(q, y, real(x, B2))
        q = fma(q, y, real(x, B1))
        q = fma(q, y, real(x, B0))
    return fma(x * y, q, x)


@loop
def tanh(x: Real) -> Real:
    """tanh x, odd; beyond the polynomial's reach 1 - 2 / (e^2x + 1)."""
    one = real(x, 1.0)
    u = abs(x)
    top = real(x, 10.0) if is_single(x) else real(x, 20.0)
    bounded = top if u > top else u  # the result is 1 well before, and e^2x stays in range
    n = whole_part(bounded + bounded)
    e = (one + expm1_taylor(reduced(bounded + bounded, n))) * power_of_two(n)
    far = one - real(x, 2.0) / (e + one)
    near = tanh_polynomial(u)
    return copysign(near if u < real(x, TANH_EDGE) else far, x)


@loop
def sigmoid(x: Real) -> Real:
    """1 / (1 + e^-x), in the two branches that never overflow.

    The sum 1 + e is rounded; most of what it lost, known exactly, is made good after the division:
    s / (1 + lost) = s - s·lost + …
    """
    one = real(x, 1.0)
    e = exp_negative(-abs(x))
    total = one + e
    lost = e - (total - one)
    s = (e if x < real(x, 0.0) else one) / total
    return fma(-s, lost, s)


@loop
def log1p_unit(u: Real) -> Real:
    """ln(1 + u) for 0 ≤ u ≤ 1: 2·artanh s = 2·(s + s³/3 + s⁵/5 + …) with s = u / (2 + u) ≤ 1/3."""
    s = u / (u + real(u, 2.0))
    square = s * s
    q = real(u, 0.0)
    for k in range(8 if is_single(u) else 18, 0, -1):
        q = fma(q, square, real(u, 1.0) / real(u, 2 * k + 1))
    return real(u, 2.0) * fma(s * square, q, s)


@loop
def sqrt(x: Real) -> Real:
    """√x, rounded correctly, as every processor has it by itself; NaN below 0."""
    return np.sqrt(x)


SERIES_TERMS_32, SERIES_TERMS_64 = 12, 20
FRACTION_DEPTH_32, FRACTION_DEPTH_64 = 32, 163


@loop
def erfc(x: Real) -> Real:
    """The complementary error function, as in the specification: series near 0, fraction beyond."""
    one, two = real(x, 1.0), real(x, 2.0)
    root_pi = real(x, math.sqrt(math.pi))
    u = abs(x)
    if u < one:
        term = u
        total = u
        for n in range(1, SERIES_TERMS_32 if is_single(x) else SERIES_TERMS_64):
            term = term * (two * u * u) / real(x, 2 * n + 1)
            total = total + term
        tail = one - two / root_pi * exp(-u * u) * total
    else:
        fraction = u
        for n in range(FRACTION_DEPTH_32 if is_single(x) else FRACTION_DEPTH_64, 0, -1):
            fraction = u + real(x, 0.5 * n) / fraction
        tail = exp(-u * u) / (root_pi * fraction)
    return two - tail if x < real(x, 0.0) else tail


@loop
def normal_cdf(x: Real) -> Real:
    """Φ(x), the standard normal distribution function."""
    return erfc(-x * real(x, math.sqrt(0.5))) * real(x, 0.5)
