"""Every activation and its derivative: against Keras, mpmath and differences."""

import math

import mpmath
import numpy as np
import pytest

from lstm_ref.errors import UnsupportedError
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
    "relu6": [0, 6],
    "hard_tanh": [-1, 1],
    "sparse_sigmoid": [-1, 1],
    "soft_shrink": [-0.5, 0.5],
    "hard_shrink": [-0.5, 0.5],
    "threshold": [1],
    "hard_silu": [-3, 3],
    "sparse_plus": [-1, 1],
    "celu": [0],  # not for its slope, but for what Keras makes of it
}
NOT_IN_KERAS = {"hard_sigmoid_keras2", "thresholded_relu", "affine", "scaled_tanh"}
IN_KERAS = [
    name for name, act in spec.ACTIVATIONS.items() if name not in NOT_IN_KERAS and act.plain
]
OTHER_PARAMETERS = {  # and the kinks that go with them
    ("leaky_relu", 0.01): [0],
    ("thresholded_relu", 0.5): [0.5],
    ("affine", -1.5, 0.3): [],
    ("hard_sigmoid_keras2", 0.3, 0.4): [-4 / 3, 2],
    ("scaled_tanh", 1.7, 0.6): [],
    ("elu", 0.3): [0],
    ("soft_shrink", 0.8): [-0.8, 0.8],
    ("hard_shrink", 0.8): [-0.8, 0.8],
    ("threshold", 0.5, -2.0): [0.5],
    ("squareplus", 0.7): [],
    ("celu", 0.4): [0],
}
WITH_PARAMETERS_IN_KERAS = [act for act in OTHER_PARAMETERS if act[0] not in NOT_IN_KERAS]


def points(dtype: str) -> np.ndarray:
    """A grid dense around 0 and wide in the tails, without the kinks."""
    grid = np.concatenate([np.linspace(-9, 9, 407), [-30, -12.3, 14.2, 40], 1e-5 * np.arange(1, 4)])
    return grid.astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("act", [*IN_KERAS, *WITH_PARAMETERS_IN_KERAS])
def test_value_and_derivative_equal_keras(act: spec.ActivationId, dtype: str) -> None:
    keras, tf = require("keras"), require("tensorflow")
    name, *parameters = [act] if isinstance(act, str) else act
    z = np.concatenate([points(dtype), np.array((KINKS | OTHER_PARAMETERS).get(act, []), dtype)])
    variable = tf.Variable(z)
    with tf.GradientTape() as tape:
        expected = keras.activations.get(name)(variable, *parameters)
    expected_slope = np.broadcast_to(tape.gradient(expected, variable), z.shape)
    rtol = 16 * np.finfo(dtype).eps
    if dtype == "float64":
        rtol += KERAS_FLOAT32_CONSTANTS.get(name, 0)
    a = spec.activate(act, z)
    assert a.dtype == z.dtype
    np.testing.assert_allclose(a, expected, rtol=rtol, atol=rtol)
    slope = spec.activation_derivative(act, z, a)
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
        ("soft_shrink", 0.8): [-2.2, -0.2, 0, 0, 0, 3.2],
        ("hard_shrink", 0.8): [-3, -1, 0, 0, 0, 4],
        ("threshold", 0.5, -2.0): [-2, -2, -2, -2, 0.7, 4],
        ("squareplus", 0.7): [(v + math.sqrt(v * v + 0.7)) / 2 for v in z],
        ("celu", 0.4): [0.4 * math.expm1(v / 0.4) if v < 0 else v for v in z],
    }
    assert expected.keys() == OTHER_PARAMETERS.keys()
    for act, values in expected.items():
        np.testing.assert_allclose(spec.activate(act, z), values, rtol=0, atol=1e-15)


KERAS_AT_THE_KINKS = {
    ("relu6", 0): 0,
    ("relu6", 6): 0,
    ("hard_tanh", -1): 1,
    ("hard_tanh", 1): 1,
    ("sparse_sigmoid", -1): 0,
    ("sparse_sigmoid", 1): 0,
    ("soft_shrink", -0.5): 0,
    ("soft_shrink", 0.5): 0,
    ("hard_shrink", -0.5): 0,
    ("hard_shrink", 0.5): 0,
    ("hard_silu", -3): 0,
    ("hard_silu", 3): 1,
    ("celu", 0): 2,  # though its slope is 1 on both sides
    ("relu", 0): 0,
    ("hard_sigmoid", -3): 0,
    ("hard_sigmoid", 3): 0,
    ("leaky_relu", 0): 0.2,
    ("elu", 0): 1,
}
"""Derivatives as TensorFlow's GradientTape gives them: the comparison above takes them live."""


@pytest.mark.parametrize(("name", "kink"), KERAS_AT_THE_KINKS)
def test_derivatives_at_kinks_are_those_of_keras(name: str, kink: float) -> None:
    assert kink in KINKS[name]
    z = np.array([kink, -0.0 if kink == 0 else kink])
    slopes = spec.activation_derivative(name, z, spec.activate(name, z))
    np.testing.assert_array_equal(slopes, KERAS_AT_THE_KINKS[name, kink])


def test_keras_makes_a_number_of_nan_where_we_do_not() -> None:
    keras = require("keras")
    nan = np.array([np.nan])
    for act, number in (("soft_shrink", 0), ("hard_shrink", 0), (("threshold", 1.0, 7.0), 7)):
        name, *parameters = [act] if isinstance(act, str) else act
        assert keras.activations.get(name)(nan, *parameters) == number
        assert np.isnan(spec.activate(act, nan))


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


IN_WORDS_OF_MPMATH = {
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "log_sigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "squareplus": lambda x: (x + mpmath.sqrt(x * x + 4)) / 2,
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
@pytest.mark.parametrize("name", IN_WORDS_OF_MPMATH)
def test_no_digit_is_lost_in_the_tails(name: str, dtype: str) -> None:
    """Relative to the value, where it is small; the derivative where it does not change sign."""
    z = np.concatenate([np.linspace(-9, 9, 91) + 0.003, [-80, -33.3, -20, 20, 33.3, 80]])
    z = z.astype(dtype)
    a = spec.activate(name, z)
    slope = spec.activation_derivative(name, z, a)
    assert slope.dtype == a.dtype == z.dtype
    function, eps = IN_WORDS_OF_MPMATH[name], float(np.finfo(dtype).eps)
    with mpmath.workdps(90):
        for v, value, derivative in zip(map(exact, z), a, slope, strict=True):
            assert abs(exact(value) / function(v) - 1) < 4 * eps, v
            if abs(v) > 3:
                assert abs(exact(derivative) / mpmath.diff(function, v) - 1) < 4 * eps, v


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
    for wrong in (("elu", 1, 2), ("tanh", 1), ("affine", 1), ("elu", "1"), ("threshold", 1)):
        with pytest.raises(ValueError, match=rf"{wrong[0]} takes (1|2|no) parameters"):
            spec.activation_id(wrong)
    for wrong in ((), ("tahn", 1), (1.0,), 3):
        with pytest.raises(ValueError, match="unknown activation"):
            spec.activation_id(wrong)


def test_parameters_that_must_be_given() -> None:
    """Keras' threshold has no usual ones, so its name alone says too little, now and in a file."""
    for short in ("threshold", ("threshold",)):
        with pytest.raises(ValueError, match=r"threshold takes 2 .*\('threshold', 1\.0, 0\.0\)"):
            spec.activation_id(short)
    assert spec.activation_id(["threshold", 1, 0]) == ("threshold", 1.0, 0.0)


@pytest.mark.parametrize("name", ["celu", "squareplus"])
@pytest.mark.parametrize("parameter", [0, -1.0, math.nan])
def test_parameters_that_would_divide_by_zero(name: str, parameter: float) -> None:
    with pytest.raises(ValueError, match=f"{name} takes a number above 0"):
        spec.activation_id((name, parameter))


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "glu", "sparsemax"])
def test_what_mixes_the_units_is_refused_by_name(name: str) -> None:
    for identifier in (name, (name, -1)):
        with pytest.raises(UnsupportedError, match=f"activation '{name}' mixes the units"):
            spec.activation_id(identifier)


def test_every_activation_of_keras_is_there_or_refused_by_name() -> None:
    keras = require("keras")
    theirs = set(dir(keras.activations)) - {"get", "serialize", "deserialize"}
    theirs = {name for name in theirs if not name.startswith("_")}
    there = {*spec.ACTIVATIONS, *spec.ALIASES}
    assert theirs - there == set(spec.NOT_ELEMENTWISE)
    for alias, name in spec.ALIASES.items():
        assert keras.activations.get(alias) is keras.activations.get(name)
