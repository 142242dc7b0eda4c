"""Every activation and its derivative: against Keras, mpmath and differences."""

import math

import mpmath
import numpy as np
import pytest

from lstm_ref.spec import activations as spec
from tests.peers import require

KERAS_FLOAT32_CONSTANTS = {"leaky_relu": 2e-8, "gelu": 2e-8}
"""In float64 these two of Keras carry constants rounded to float32."""

KINKS = {
    "relu": [0],
    "leaky_relu": [0],
    "elu": [0],
    "selu": [0],
    "softsign": [0],  # its slope has a corner there
    "hard_sigmoid": [-3, 3],
    "hard_sigmoid_keras2": [-2.5, 2.5],
    "thresholded_relu": [1],
}
NOT_IN_KERAS = {"hard_sigmoid_keras2", "thresholded_relu", "affine", "scaled_tanh"}
IN_KERAS = [name for name in spec.ACTIVATIONS if name not in NOT_IN_KERAS]
OTHER_PARAMETERS = {  # and the kinks that go with them
    ("leaky_relu", 0.01): [0],
    ("thresholded_relu", 0.5): [0.5],
    ("affine", -1.5, 0.3): [],
    ("hard_sigmoid_keras2", 0.3, 0.4): [-4 / 3, 2],
    ("scaled_tanh", 1.7, 0.6): [],
    ("elu", 0.3): [0],
}


def points(dtype: str) -> np.ndarray:
    """A grid dense around 0 and wide in the tails, without the kinks."""
    grid = np.concatenate([np.linspace(-9, 9, 407), [-30, -12.3, 14.2, 40], 1e-5 * np.arange(1, 4)])
    return grid.astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", IN_KERAS)
def test_value_and_derivative_equal_keras(name: str, dtype: str) -> None:
    keras, tf = require("keras"), require("tensorflow")
    z = np.concatenate([points(dtype), np.array(KINKS.get(name, []), dtype)])
    variable = tf.Variable(z)
    with tf.GradientTape() as tape:
        expected = keras.activations.get(name)(variable)
    expected_slope = np.broadcast_to(tape.gradient(expected, variable), z.shape)
    rtol = 16 * np.finfo(dtype).eps
    if dtype == "float64":
        rtol += KERAS_FLOAT32_CONSTANTS.get(name, 0)
    a = spec.activate(name, z)
    assert a.dtype == z.dtype
    np.testing.assert_allclose(a, expected, rtol=rtol, atol=rtol)
    slope = spec.activation_derivative(name, z, a)
    assert slope.dtype == z.dtype
    np.testing.assert_allclose(slope, expected_slope, rtol=rtol, atol=rtol)


def test_hard_sigmoid_of_keras_2_is_the_older_line() -> None:
    z = np.array([-3.0, -2.5, -1.0, 0.0, 1.0, 2.5, 3.0])
    a = spec.activate("hard_sigmoid_keras2", z)
    np.testing.assert_allclose(a, [0, 0, 0.3, 0.5, 0.7, 1, 1], atol=1e-16)
    assert abs(spec.activate("hard_sigmoid", z) - a).max() > 0.02  # it is another function


def test_parameters_say_what_the_formulas_do() -> None:
    """Those that Keras has not, and those it has without parameters, written out."""
    z = np.array([-3.0, -1.0, 0.2, 0.5, 0.7, 4.0])
    expected = {
        ("leaky_relu", 0.01): [-0.03, -0.01, 0.2, 0.5, 0.7, 4],
        ("thresholded_relu", 0.5): [0, 0, 0, 0, 0.7, 4],
        ("affine", -1.5, 0.3): [4.8, 1.8, 0, -0.45, -0.75, -5.7],
        ("hard_sigmoid_keras2", 0.3, 0.4): [0, 0.1, 0.46, 0.55, 0.61, 1],
        ("scaled_tanh", 1.7, 0.6): [1.7 * math.tanh(0.6 * v) for v in z],
        ("elu", 0.3): [0.3 * math.expm1(v) if v < 0 else v for v in z],
    }
    assert expected.keys() == OTHER_PARAMETERS.keys()
    for act, values in expected.items():
        np.testing.assert_allclose(spec.activate(act, z), values, rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", [*spec.ACTIVATIONS, *OTHER_PARAMETERS])
def test_derivative_is_the_slope(name: spec.ActivationId) -> None:
    """Central differences in extended precision, away from the kinks."""
    z = points("float64").astype(np.longdouble)
    for kink in (KINKS | OTHER_PARAMETERS).get(name, []):
        z = z[np.abs(z - kink) > 1e-3]
    step = np.longdouble(1e-5)
    slope = (spec.activate(name, z + step) - spec.activate(name, z - step)) / (2 * step)
    a = spec.activate(name, z)
    scale = max(1, float(np.abs(a).max()))
    got = spec.activation_derivative(name, z, a)
    np.testing.assert_allclose(got, slope, rtol=1e-8, atol=1e-9 * min(scale, 1e6))


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_erfc_equals_mpmath(dtype: str) -> None:
    x = np.concatenate([np.linspace(-6, 6, 121), [1.0, -1.0, 0.9999999, 1e-9]]).astype(dtype)
    eps = float(np.finfo(dtype).eps)
    with mpmath.workdps(40):
        ulps = [
            float(abs(exact(got) / mpmath.erfc(exact(v)) - 1) / eps)
            for got, v in zip(spec.erfc(x), x, strict=True)
        ]
    assert max(u for u, v in zip(ulps, x, strict=True) if v < 2) < 12
    assert max(ulps) < 90  # e^(-x²) loses x² ULP in the far tail, where erfc is below 1e-15


def exact(value: np.floating) -> mpmath.mpf:
    """All digits of a NumPy number, extended precision included."""
    return mpmath.mpf(np.format_float_scientific(value, 40, unique=False))


@pytest.mark.parametrize("name", spec.ACTIVATIONS)
def test_nan_flows_through_and_infinity_does_not_warn(name: str) -> None:
    z = np.array([np.nan, 1e4, -1e4])
    with np.errstate(over="ignore"):
        a = spec.activate(name, z)
    assert np.isnan(a[0])
    assert not np.isnan(a[1:]).any()


def test_names() -> None:
    assert spec.activation_id(None) == "linear"
    assert spec.activation_id("swish") == "silu"
    assert spec.activation_id("tanh") == "tanh"
    with pytest.raises(ValueError, match=r"'tahn'.*hard_sigmoid.*tanh"):
        spec.activation_id("tahn")
    assert spec.activation_id(("elu", 0.5)) == spec.activation_id(["elu", 0.5]) == ("elu", 0.5)
    assert spec.activation_id(("elu", 1)) == "elu"
    for wrong in (("elu", 1, 2), ("tanh", 1), ("affine", 1), ("elu", "1")):
        with pytest.raises(ValueError, match=rf"{wrong[0]} takes (1|2|no) parameters"):
            spec.activation_id(wrong)
    for wrong in ((), ("tahn", 1), (1.0,), 3):
        with pytest.raises(ValueError, match="unknown activation"):
            spec.activation_id(wrong)
