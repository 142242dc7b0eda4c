"""Initializers: Keras' distributions, checked by their moments and bounds, and Keras' names."""

import math

import numpy as np
import pytest

import lstm_ref.utils
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.initializers import Identity, Orthogonal, RandomNormal, VarianceScaling, get
from lstm_ref.layers import LSTM, initializers, session
from tests.peers import require

SHAPE = (120, 360)  # 43,200 values: a variance is known to 0.7 %, a mean to 0.005 deviations

SCHEMES = {
    # name: (variance, bound on the absolute value); n is fan_in = 120 and fan_avg = 240
    "glorot_uniform": (1 / 240, math.sqrt(3 / 240)),
    "glorot_normal": (1 / 240, 2 * math.sqrt(1 / 240) / 0.87962566103423978),
    "he_uniform": (2 / 120, math.sqrt(6 / 120)),
    "he_normal": (2 / 120, 2 * math.sqrt(2 / 120) / 0.87962566103423978),
    "lecun_uniform": (1 / 120, math.sqrt(3 / 120)),
    "lecun_normal": (1 / 120, 2 * math.sqrt(1 / 120) / 0.87962566103423978),
    "random_uniform": (0.1**2 / 12, 0.05),
    "random_normal": (0.05**2, math.inf),
    "truncated_normal": ((0.05 * 0.87962566103423978) ** 2, 0.1),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_moments_and_bounds(name):
    variance, bound = SCHEMES[name]
    values = get({"class_name": name, "config": {"seed": 3}})(SHAPE, "float64")
    assert values.var() == pytest.approx(variance, rel=0.03)
    assert abs(values.mean()) < 4 * math.sqrt(variance / values.size)
    assert abs(values).max() <= bound
    if math.isfinite(bound):  # and it comes close to the bound: nothing is cut off early
        assert abs(values).max() > 0.98 * bound


@pytest.mark.parametrize("name", SCHEMES)
def test_moments_and_bounds_are_those_of_keras(name):
    keras = require("keras")
    theirs = keras.initializers.get({"class_name": name, "config": {"seed": 1}})
    values = np.asarray(theirs(SHAPE), np.float64)
    variance, bound = SCHEMES[name]
    assert values.var() == pytest.approx(variance, rel=0.03)
    assert abs(values).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("shape", [(4, 16), (16, 4), (5, 5), (2, 3, 4)])
def test_orthogonal_rows_or_columns(shape):
    q = Orthogonal(gain=1.5, seed=0)(shape, "float64").reshape(-1, shape[-1]) / 1.5
    small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-14)


def test_orthogonal_signs_are_those_of_the_haar_measure():
    # Without the correction by R's diagonal, LAPACK leaves a fixed sign on the diagonal of Q.
    first = [Orthogonal(seed=seed)((3, 3), "float64")[0, 0] for seed in range(200)]
    assert 60 < np.sum(np.array(first) > 0) < 140


def test_recurrent_kernel_is_orthogonal_as_a_whole():
    layer = LSTM(5, dtype="float64")
    layer.build((None, None, 3))
    U = layer.recurrent_kernel
    np.testing.assert_allclose(U @ U.T, np.eye(5), atol=1e-14)


def test_forget_gate_begins_at_one_and_the_others_with_the_initializer():
    layer = LSTM(3, bias_initializer=get({"class_name": "constant", "config": {"value": 0.25}}))
    layer.build((None, None, 2))
    np.testing.assert_array_equal(
        layer.bias.reshape(4, 3), [[0.25] * 3, [1] * 3] + [[0.25] * 3] * 2
    )
    plain = LSTM(3, unit_forget_bias=False)
    plain.build((None, None, 2))
    np.testing.assert_array_equal(plain.bias, np.zeros(12))


def test_first_bias_is_as_in_keras():
    keras = require("keras")
    theirs = keras.layers.LSTM(3, bias_initializer="ones")
    theirs.build((None, None, 2))
    ours = LSTM(3, bias_initializer="ones")
    ours.build((None, None, 2))
    np.testing.assert_array_equal(ours.bias, theirs.get_weights()[2])


def test_constants_and_identity():
    np.testing.assert_array_equal(get("zeros")((2, 3)), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(get("ones")((2,)), np.ones(2, np.float32))
    np.testing.assert_array_equal(Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    with pytest.raises(ShapeError, match=r"Identity fills matrices"):
        Identity()((3,))
    with pytest.raises(ShapeError, match=r"Orthogonal needs a matrix"):
        Orthogonal()((3,))


@pytest.mark.parametrize("name", sorted(initializers.INITIALIZERS))
def test_every_name_is_also_one_of_keras_and_round_trips(name):
    keras = require("keras")
    ours = get(name)
    described = initializers.serialize(ours)
    assert initializers.serialize(get(described)) == described
    theirs = keras.initializers.get({"class_name": name, "config": ours.get_config()})
    assert type(theirs).__name__ == type(ours).__name__
    # Keras' Identity leaves its gain out of its config.
    config = {"gain": 1.0} if name.lower().startswith("identity") else theirs.get_config()
    assert {k: v for k, v in config.items() if not k.endswith("_axes")} == ours.get_config()


def test_variance_scaling_by_its_own_arguments():
    values = VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=0)(SHAPE, "float64")
    assert values.var() == pytest.approx(2 / 360, rel=0.03)
    assert abs(values).max() > 3 * values.std()  # nothing is cut off
    assert initializers.fans((7,)) == (7, 7)
    assert initializers.fans(()) == (1, 1)
    assert initializers.fans((3, 4, 5)) == (12, 15)
    assert type(get(VarianceScaling)) is VarianceScaling


def test_a_seed_repeats_and_no_seed_does_not():
    np.testing.assert_array_equal(RandomNormal(seed=1)((4,)), RandomNormal(seed=1)((4,)))
    assert np.any(RandomNormal(seed=1)((4,)) != RandomNormal(seed=2)((4,)))
    assert np.any(RandomNormal()((4,)) != RandomNormal()((4,)))
    unseeded = RandomNormal()
    np.testing.assert_array_equal(unseeded((4,)), unseeded((4,)))  # as in Keras


def test_set_seed_repeats_a_model():
    def weights() -> list[np.ndarray]:
        session.set_seed(7)
        layer = LSTM(4)
        layer.build((None, None, 3))
        return layer.get_weights()

    for first, second in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_set_random_seed_seeds_the_global_generators_too():
    lstm_ref.utils.set_random_seed(5)
    first = np.random.rand()
    lstm_ref.utils.set_random_seed(5)
    assert np.random.rand() == first


def test_float32_values_are_the_rounded_float64_ones():
    wide = RandomNormal(seed=4)((50,), "float64")
    np.testing.assert_array_equal(RandomNormal(seed=4)((50,), "float32"), wide.astype(np.float32))


def test_refusals():
    with pytest.raises(ValueError, match=r"there is no initializer 'glorot'; there are constant"):
        get("glorot")
    with pytest.raises(UnsupportedError, match="use set_weights"):
        get(np.zeros((2, 2)))
    with pytest.raises(UnsupportedError, match="SeedGenerator"):
        RandomNormal(seed="now")
    with pytest.raises(ValueError, match="a variance is positive"):
        VarianceScaling(scale=0.0)
    with pytest.raises(ValueError, match="mode='fan'"):
        VarianceScaling(mode="fan")
    with pytest.raises(ValueError, match="distribution='normal'"):
        VarianceScaling(distribution="normal")
