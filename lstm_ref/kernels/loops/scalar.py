"""exp and its relatives from + - × ÷ and fma alone: the same bits on every processor.

The C library's versions differ between systems and stop loops from being vectorized. These are
short, branch-free and accurate to about one ULP; NaN and ±inf flow through. Each is written once
for float32 and float64: ``real(x, 0.5)`` is the constant 0.5 in x's kind.

The reduction is Cody & Waite's (1980): x = n·ln 2 + r with |r| ≤ ln 2 / 2, then eˣ = 2ⁿ·eʳ, and eʳ
by its Taylor polynomial, whose first omitted term is below a tenth of an ULP.
"""

import math

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
def expm1(x: Real) -> Real:
    """e^x - 1, accurate relative to its size near 0; for x up to 88 (float32) or 709 (float64).

    eˣ - 1 = 2ⁿ·(e^r - 1) + (2ⁿ - 1), where each part is accurate by itself.
    """
    bottom = real(x, -40.0)  # the result is -1 well before
    x = bottom if x < bottom else x
    n = whole_part(x)
    scale = power_of_two(n)
    return fma(scale, expm1_taylor(reduced(x, n)), scale - real(x, 1.0))


@loop
def tanh(x: Real) -> Real:
    """tanh x = (e^2x - 1) / (e^2x + 1), odd, accurate relative to its size near 0."""
    u = abs(x)
    top = real(x, 10.0) if is_single(x) else real(x, 20.0)
    u = top if u > top else u  # the result is 1 well before
    m = expm1(u + u)
    return copysign(m / (m + real(x, 2.0)), x)


@loop
def sigmoid(x: Real) -> Real:
    """1 / (1 + e^-x), in the two branches that never overflow."""
    one = real(x, 1.0)
    e = exp(-abs(x))
    return (e if x < real(x, 0.0) else one) / (one + e)


@loop
def log1p_unit(u: Real) -> Real:
    """ln(1 + u) for 0 ≤ u ≤ 1: 2·artanh s = 2·(s + s³/3 + s⁵/5 + …) with s = u / (2 + u) ≤ 1/3."""
    s = u / (u + real(u, 2.0))
    square = s * s
    q = real(u, 0.0)
    for k in range(8 if is_single(u) else 18, 0, -1):
        q = fma(q, square, real(u, 1.0) / real(u, 2 * k + 1))
    return real(u, 2.0) * fma(s * square, q, s)


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
