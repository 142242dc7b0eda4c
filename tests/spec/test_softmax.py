"""Softmax and its logarithm: against Keras, against differences, and at the edges of numbers."""

import numpy as np
import pytest

from lstm_ref import backend
from lstm_ref.spec import softmax as spec
from tests.cases import BACKENDS
from tests.peers import require

NAMES = ("softmax", "log_softmax")
SHAPES = [(1,), (5,), (3, 1), (3, 4), (2, 3, 5)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("who", BACKENDS)
def test_values_and_gradients_equal_tensorflow(dtype, shape, scale, name, who, rng):
    tf = require("tensorflow")
    z = rng.normal(scale=scale, size=shape).astype(dtype)
    d_a = rng.normal(size=shape).astype(dtype)
    with tf.GradientTape() as tape:
        tensor = tf.convert_to_tensor(z)
        tape.watch(tensor)
        expected = getattr(tf.nn, name)(tensor)
    d_z = tape.gradient(expected, tensor, tf.convert_to_tensor(d_a)).numpy()
    got = getattr(backend, name)(z, backend=who)
    assert got.dtype == z.dtype
    eps = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(got, expected.numpy(), rtol=eps, atol=eps)
    back = getattr(backend, f"{name}_backward")(d_a, got, backend=who)
    assert back.dtype == z.dtype
    np.testing.assert_allclose(back, d_z, rtol=0, atol=eps * np.abs(d_a).sum())


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_the_function(name, rng):
    """In longdouble, where differences are exact enough for every entry."""
    z, d_a = (rng.normal(size=(3, 4)).astype(np.longdouble) for _ in range(2))
    function = getattr(spec, name)
    d_z = getattr(spec, f"{name}_backward")(d_a, function(z))
    step = np.longdouble(1e-6)
    for index in np.ndindex(z.shape):
        moved = np.zeros_like(z)
        moved[index] = step
        slope = np.sum((function(z + moved) - function(z - moved)) * d_a) / (2 * step)
        assert float(d_z[index] - slope) == pytest.approx(0, abs=1e-11)


@pytest.mark.parametrize("who", BACKENDS)
def test_a_row_sums_to_one_and_large_numbers_are_no_harm(who, rng):
    z = rng.normal(size=(6, 7)) + np.array([[0, 700, -700, 1e6, -1e6, 1e300]]).T
    a = backend.softmax(z, backend=who)
    np.testing.assert_allclose(a.sum(axis=-1), 1, rtol=1e-15)
    np.testing.assert_allclose(backend.softmax(z[:3] + 5, backend=who), a[:3], rtol=1e-12)
    log = backend.log_softmax(np.array([[-1e4, 0.0]]), backend=who)
    np.testing.assert_array_equal(log, [[-1e4, 0.0]])  # where softmax itself is 0 and 1


@pytest.mark.parametrize("who", BACKENDS)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_is_what_it_is_in_tensorflow(who, name):
    """In float64; in float32, TensorFlow leaves the 0 beside an infinity a 0."""
    inf, nan = np.inf, np.nan
    rows = [[inf, 0], [inf, inf], [-inf, 0], [-inf, -inf], [nan, 0], [0, nan], [inf, -inf]]
    z = np.array(rows)
    expected = getattr(require("tensorflow").nn, name)(z).numpy()
    np.testing.assert_array_equal(getattr(backend, name)(z, backend=who), expected)
    single = getattr(backend, name)(z.astype("float32"), backend=who)
    np.testing.assert_array_equal(single, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_bits_of_a_row_do_not_depend_on_the_others(name, dtype, rng):
    for K in (1, 2, 3, 8, 17, 40):
        z = rng.normal(scale=5, size=(9, K)).astype(dtype)
        d_a = rng.normal(size=z.shape).astype(dtype)
        a = getattr(backend, name)(z)
        d_z = getattr(backend, f"{name}_backward")(d_a, a)
        for n in range(len(z)):
            alone = getattr(backend, name)(z[n : n + 1])
            np.testing.assert_array_equal(alone, a[n : n + 1])
            d_alone = getattr(backend, f"{name}_backward")(d_a[n : n + 1], alone)
            np.testing.assert_array_equal(d_alone, d_z[n : n + 1])
        np.testing.assert_array_equal(getattr(backend, name)(z.reshape(3, 3, K)).reshape(9, K), a)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_gives_nothing(name):
    for shape in ((0, 3), (2, 0)):
        a = getattr(backend, name)(np.zeros(shape))
        assert a.shape == shape
        assert getattr(backend, f"{name}_backward")(a, a).shape == shape
