"""Constraints beside Keras', to the last digits."""

import re

import numpy as np
import pytest

import lstm_ref.constraints
from lstm_ref.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm, get, serialize
from lstm_ref.errors import DTypeError, ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.layers import constraints
from tests.keras_peer import assert_close
from tests.peers import require

MAKE = {
    "max_norm": lambda axis: MaxNorm(0.9, axis),
    "max_norm, int": lambda axis: MaxNorm(1, axis),
    "unit_norm": UnitNorm,
    "min_max_norm": lambda axis: MinMaxNorm(0.8, 1.1, 1.0, axis),
    "min_max_norm, rate": lambda axis: MinMaxNorm(0.8, 1.1, 0.3, axis),
    "min_max_norm, rate 0": lambda axis: MinMaxNorm(0.8, 1.1, 0, axis),
}
PLACES = [
    # shape, axis
    ((1,), 0),
    ((9,), 0),
    ((9,), -1),
    ((1, 1), 0),
    ((3, 20), 0),
    ((5, 8), 1),
    ((5, 8), -1),
    ((5, 8), None),
    ((5, 8), [0, 1]),
    ((5, 8), (1,)),
    ((5, 8), []),
    ((2, 3, 4), [0, 2]),
    ((30, 64), 0),
]


def keras_twin(constraint):
    return require("keras").constraints.get(serialize(constraint))


def norms(w, axis, keepdims=False):
    axis = tuple(axis) if isinstance(axis, list) else axis
    return np.sqrt(np.sum(w**2, axis=axis, keepdims=keepdims))


def weights(shape, axis, dtype, rng):
    """Random, and with norms on both sides of every bound: from 1.7 down to 0.3."""
    w = rng.normal(size=shape)
    found = norms(w, axis, keepdims=True)
    return (w / found * np.linspace(1.7, 0.3, found.size).reshape(found.shape)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("shape", "axis"), PLACES, ids=str)
@pytest.mark.parametrize("name", MAKE)
def test_norm_constraints_are_those_of_keras(name, shape, axis, dtype, rng):
    constraint = MAKE[name](axis)
    w = weights(shape, axis, dtype, rng)
    before = w.copy()
    got = constraint(w)
    expected = keras_twin(constraint)(w).numpy()
    # TensorFlow sums the squares in another order; half of that is left after the root.
    assert_close(got, expected, ulps=3, scale=np.max(np.abs(expected)))
    np.testing.assert_array_equal(w, before)
    assert not np.shares_memory(got, w)


def test_the_norms_after_it():
    w = np.array([[3.0, 0.3, 0.0], [4.0, 0.4, 0.0]])  # norms 5, 0.5 and 0
    close = {"rtol": 1e-6, "atol": 0}  # ε = 1e-7 beside a norm
    np.testing.assert_allclose(norms(MaxNorm(2)(w), 0), [2, 0.5, 0], **close)
    np.testing.assert_allclose(norms(UnitNorm()(w), 0), [1, 1, 0], **close)
    np.testing.assert_allclose(norms(MinMaxNorm(1, 2)(w), 0), [2, 1, 0], **close)
    # Half of the way from 5 to 2, and from 0.5 to 1.
    np.testing.assert_allclose(norms(MinMaxNorm(1, 2, 0.5)(w), 0), [3.5, 0.75, 0], **close)
    np.testing.assert_allclose(norms(MaxNorm(2, axis=1)(w), 1), [2, 2], **close)


def test_epsilon_is_added_to_the_norm():
    """UnitNorm of a weight as long as ε itself is 1/2 long, in both libraries."""
    w = np.array([[0.6e-7, 3.0], [0.8e-7, 4.0]])
    np.testing.assert_allclose(norms(UnitNorm()(w), 0), [0.5, 1 - 2e-8], rtol=1e-12)
    for constraint in (UnitNorm(), MaxNorm(1), MinMaxNorm(0.5, 1)):
        expected = keras_twin(constraint)(w).numpy()
        np.testing.assert_allclose(constraint(w), expected, rtol=4e-16, atol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_non_neg_is_that_of_keras(dtype, rng):
    w = rng.normal(size=(7, 5)).astype(dtype)
    w[0] = [0.0, -0.0, np.inf, -np.inf, np.nan]
    expected = keras_twin(NonNeg())(w).numpy()
    got = NonNeg()(w)
    assert got.dtype == expected.dtype
    # 0 and -0 are equal here: which one comes for -0 depends, in TensorFlow, on its place.
    np.testing.assert_array_equal(got, expected)
    assert not np.shares_memory(NonNeg()(abs(w)), w)


@pytest.mark.parametrize(
    "constraint", [NonNeg(), *(make(0) for make in MAKE.values())], ids=lambda c: str(serialize(c))
)
def test_any_layout_in_memory(constraint, rng):
    w = rng.normal(size=(6, 8))
    w.flags.writeable = False
    for other in (w[::-1, ::-2], np.asfortranarray(w), w.astype(">f8")):
        same = np.ascontiguousarray(other, dtype="float64")
        assert_close(constraint(other), constraint(same), ulps=2)


def test_what_diverged_flows_through_in_silence():
    w = np.array([[np.inf, 1.0, np.nan], [1.0, 3e38, 1.0]], np.float32)
    for constraint in (MaxNorm(1), UnitNorm(), MinMaxNorm(0.5, 1)):
        np.testing.assert_array_equal(constraint(w), keras_twin(constraint)(w).numpy())
    assert constraint(np.zeros((0, 3))).shape == (0, 3)


NAMES = ["max_norm", "MaxNorm", "min_max_norm", "MinMaxNorm"]
NAMES += ["non_neg", "NonNeg", "unit_norm", "UnitNorm"]


def test_the_names():
    assert sorted(constraints.CONSTRAINTS) == sorted(NAMES)
    assert get(None) is None
    assert serialize(None) is None
    assert type(get(UnitNorm)) is UnitNorm
    same = MaxNorm(3)
    assert get(same) is same
    for name in NAMES:
        assert getattr(lstm_ref.constraints, name) is constraints.CONSTRAINTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_also_one_of_keras_and_round_trips(name):
    keras = require("keras")
    ours, theirs = get(name), keras.constraints.get(name)
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.get_config() == theirs.get_config()
    described = serialize(ours)
    assert described == {"class_name": type(ours).__name__, "config": ours.get_config()}
    assert serialize(get(described)) == described
    assert serialize(get(keras.constraints.serialize(theirs))) == described


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("MaxNorm", {"max_value": 3, "axis": [0, 1]}),
        ("MaxNorm", {"max_value": 0.5, "axis": None}),
        ("UnitNorm", {"axis": (0, 1)}),
        ("MinMaxNorm", {"min_value": 1, "max_value": 2.5, "rate": 0.25, "axis": -1}),
    ],
)
def test_configs_are_those_of_keras(name, arguments):
    keras = require("keras")
    config = getattr(lstm_ref.constraints, name)(**arguments).get_config()
    theirs = getattr(keras.constraints, name)(**arguments).get_config()
    assert config == theirs == arguments
    assert [type(value) for value in config.values()] == [type(v) for v in theirs.values()]
    assert get({"class_name": name, "config": config}).get_config() == config


def test_a_number_of_numpys_becomes_one_of_pythons():
    config = MinMaxNorm(np.float32(0.5), np.int64(2), np.float64(0.5)).get_config()
    assert config == {"min_value": 0.5, "max_value": 2, "rate": 0.5, "axis": 0}
    assert [type(value) for value in config.values()] == [float, int, float, int]
    assert MaxNorm(np.float64(0.5))(np.ones((2, 2), np.float32)).dtype == np.float32


@pytest.mark.parametrize("value", [-1, np.nan, "2", True, None])
def test_a_norm_is_a_number_that_is_not_negative(value):
    sentence = re.escape(f"(max_value={value!r}): a number is needed, 0 or more")
    with pytest.raises(ValueError, match="MaxNorm" + sentence):
        MaxNorm(value)
    with pytest.raises(ValueError, match="MinMaxNorm" + sentence):
        MinMaxNorm(max_value=value)
    with pytest.raises(ValueError, match="MinMaxNorm" + sentence.replace("max_", "min_")):
        MinMaxNorm(min_value=value)


def a_constraint_of_its_own(w):
    return w / 2


def test_refusals():
    with pytest.raises(ValueError, match=r"no constraint 'maxnorm'; there are max_norm, min_max_"):
        get("maxnorm")
    with pytest.raises(UnsupportedError, match="a Constraint, not <function a_constraint_of_its_"):
        get(a_constraint_of_its_own)
    with pytest.raises(UnsupportedError, match=r"NonNeg object.*those of lstm_ref.constraints"):
        get(require("keras").constraints.NonNeg())
    with pytest.raises(ModelFormatError, match=r"NonNeg cannot have the config \{'axis': 0\}"):
        get({"class_name": "NonNeg", "config": {"axis": 0}})
    with pytest.raises(ValueError, match=r"min_value=3, max_value=1.*the smaller one comes first"):
        MinMaxNorm(3, 1)
    with pytest.raises(ValueError, match=r"MinMaxNorm\(rate=1.5\): a number from 0"):
        MinMaxNorm(rate=1.5)
    with pytest.raises(ValueError, match=r"MinMaxNorm\(rate=-0.5\)"):
        MinMaxNorm(rate=-0.5)
    for axis in ("rows", 0.0, True, [0, None]):
        with pytest.raises(ValueError, match=re.escape(f"UnitNorm(axis={axis!r}): the number of")):
            UnitNorm(axis)
    with pytest.raises(DTypeError, match="w is int64"):
        NonNeg()([1, -2])
    with pytest.raises(ShapeError, match=r"MaxNorm\(axis=1\) got a weight of shape \(3,\).*bias"):
        MaxNorm(axis=1)(np.ones(3))
    with pytest.raises(ShapeError, match=r"UnitNorm\(axis=\[0, -2\]\).*shape \(2, 3\).*duplicate"):
        UnitNorm([0, -2])(np.ones((2, 3)))
