"""The kernels' own exp, tanh and sigmoid: at most 2 ULP off, and exact where it matters."""

import mpmath
import numpy as np
import pytest

from lstm_ref.kernels.activations import activate
from lstm_ref.kernels.loops import scalar

EXACT = {"exponential": np.exp, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


def ulps(got: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """How far apart, in units of the last place of the exact value in got's dtype."""
    return np.abs(got.astype(exact.dtype) - exact) / np.spacing(np.abs(exact).astype(got.dtype))


def every_magnitude(rng: np.random.Generator, bits: type, dtype: type, count: int) -> np.ndarray:
    """Random bit patterns: all exponents alike, denormals, both signs; no NaN."""
    x = rng.integers(0, np.iinfo(bits).max, count, dtype=bits, endpoint=True).view(dtype)
    return x[np.isfinite(x)]


@pytest.mark.parametrize("name", EXACT)
def test_float32_against_extended_precision(name: str, rng: np.random.Generator) -> None:
    x = np.concatenate(
        [every_magnitude(rng, np.uint32, np.float32, 300_000), rng.uniform(-110, 95, 300_000)]
    ).astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        exact = EXACT[name](x.astype(np.longdouble))
        fits = exact <= np.finfo(np.float32).max
        got = activate(name, x)
        assert np.isinf(got[~fits]).all()
        assert ulps(got[fits], exact[fits]).max() <= 2


@pytest.mark.parametrize("name", EXACT)
def test_float64_against_mpmath(name: str, rng: np.random.Generator) -> None:
    x = np.concatenate(
        [
            every_magnitude(rng, np.uint64, np.float64, 500),
            rng.uniform(-740, 700, 1000),
            rng.uniform(-3, 3, 2000),
        ]
    )
    x = x[np.abs(x) < 705] if name != "tanh" else x
    got = activate(name, x)
    functions = {
        "exponential": mpmath.exp,
        "tanh": mpmath.tanh,
        "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
    }
    worst = 0.0
    with mpmath.workdps(60):
        for value, result in zip(x, got, strict=True):
            true = functions[name](mpmath.mpf(float(value)))
            unit = mpmath.mpf(float(np.spacing(abs(float(true)))))
            worst = max(worst, float(abs(mpmath.mpf(float(result)) - true) / unit))
    assert worst <= 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values(dtype: str) -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], dtype)
    np.testing.assert_array_equal(activate("tanh", x), [0, 0, 1, -1, np.nan])
    np.testing.assert_array_equal(np.signbit(activate("tanh", x[:2])), [False, True])
    np.testing.assert_array_equal(activate("sigmoid", x), [0.5, 0.5, 1, 0, np.nan])
    np.testing.assert_array_equal(activate("exponential", x), [1, 1, np.inf, 0, np.nan])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_is_odd_and_exp_and_tanh_are_monotone(dtype: str) -> None:
    x = np.linspace(-12, 12, 200_001).astype(dtype)
    np.testing.assert_array_equal(activate("tanh", -x), -activate("tanh", x))
    for name in ("exponential", "tanh"):
        assert (np.diff(activate(name, x)) >= 0).all(), name


@pytest.mark.parametrize(("name", "nodes", "bound"), [("TANH_32", 5, 4e-9), ("TANH_64", 11, 6e-18)])
def test_the_polynomials_of_tanh_are_what_is_said_of_them(
    name: str, nodes: int, bound: float
) -> None:
    """Through the values at the Chebyshev nodes, and off by no more than said in between.

    The coefficients are float64 numbers, which alone moves the values by some 5e-18.
    """
    coefficients = [mpmath.mpf(c) for c in getattr(scalar, name)]
    assert len(coefficients) == nodes
    with mpmath.workdps(40):
        top = mpmath.mpf(scalar.TANH_EDGE) ** 2

        def error(y: mpmath.mpf) -> mpmath.mpf:
            """Relative to tanh x, at x² = y."""
            x = mpmath.sqrt(y)
            polynomial = 1 + y * mpmath.polyval(coefficients[::-1], y)
            return abs(polynomial * x / mpmath.tanh(x) - 1)

        at_nodes = [
            top / 2 * (1 + mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * nodes))) for k in range(nodes)
        ]
        between = [top * k / 500 for k in range(1, 501)]
        assert max(map(error, between)) < bound
        assert max(map(error, at_nodes)) < max(bound / 10, 6e-18)
