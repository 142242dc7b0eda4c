"""Regularizers: penalties and gradients beside Keras' and beside central differences."""

import re

import numpy as np
import pytest

import lstm_ref.regularizers
from lstm_ref.errors import DTypeError, ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.layers import regularizers
from lstm_ref.regularizers import L1, L1L2, L2, OrthogonalRegularizer, get, serialize
from tests.keras_peer import assert_close
from tests.peers import require

# Factors that float32 does not hold exactly, so that Keras' rounding of them shows in float64.
REGULARIZERS = {
    "L1": L1(0.3),
    "L2": L2(0.7),
    "L1L2": L1L2(0.3, 0.7),
    "L1L2, l1 alone": L1L2(l1=0.3),
    "L1L2, l2 alone": L1L2(l2=0.7),
    "L1L2, neither": L1L2(),
}
ORTHOGONAL = {mode: OrthogonalRegularizer(0.3, mode) for mode in ("rows", "columns")}
SHAPES = [(1,), (7,), (1, 1), (3, 5), (4, 28), (40, 96), (2, 3, 4)]
MATRICES = [(2, 2), (2, 7), (7, 2), (3, 5), (5, 3), (16, 64)]


def keras_value_and_gradient(regularizer, w):
    """Keras' penalty and its gradient, both in the dtype of ``w``."""
    keras, tf = require("keras"), require("tensorflow")
    theirs = keras.regularizers.get(serialize(regularizer))
    if isinstance(regularizer, OrthogonalRegularizer):
        # Keras leaves this factor in float32, which TensorFlow does not multiply by float64.
        theirs.factor = tf.cast(theirs.factor, w.dtype)
    x = tf.Variable(w)
    with tf.GradientTape() as tape:
        penalty = theirs(x)
    gradient = tape.gradient(penalty, x)
    # TensorFlow gives no gradient at all for a penalty that does not read the weight.
    return penalty.numpy(), np.zeros_like(w) if gradient is None else gradient.numpy()


def assert_is_keras(regularizer, w, ulps):
    penalty, gradient = keras_value_and_gradient(regularizer, w)
    before = w.copy()
    assert_close(
        w.dtype.type(regularizer(w)), penalty, ulps=ulps, scale=abs(penalty), what="penalty"
    )
    assert_close(
        regularizer.gradient(w), gradient, ulps=ulps, scale=np.max(np.abs(gradient)), what="d_w"
    )
    np.testing.assert_array_equal(w, before)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", REGULARIZERS)
def test_penalty_and_gradient_are_those_of_keras(name, shape, dtype, rng):
    # TensorFlow sums in another order; of up to 4000 terms, in blocks, that is a few roundings.
    assert_is_keras(REGULARIZERS[name], rng.normal(size=shape).astype(dtype), ulps=8)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", MATRICES, ids=str)
@pytest.mark.parametrize("mode", ORTHOGONAL)
def test_orthogonal_penalty_and_gradient_are_those_of_keras(mode, shape, dtype, rng):
    # Rows and columns of very different lengths. A gradient is as long as 1 / length of its row,
    # so each is compared on a scale of its own.
    n = shape[0] if mode == "rows" else shape[1]
    lengths = np.logspace(-3, 3, n).astype(dtype)
    lengths = lengths[:, None] if mode == "rows" else lengths
    w = rng.normal(size=shape).astype(dtype) * lengths
    regularizer = ORTHOGONAL[mode]
    penalty, gradient = keras_value_and_gradient(regularizer, w)
    got = regularizer.gradient(w)
    # A cosine is wrong by a few roundings of 1, however small it is.
    scale = regularizer.factor
    assert_close(w.dtype.type(regularizer(w)), penalty, ulps=4, scale=scale, what="penalty")
    assert_close(got * lengths, gradient * lengths, ulps=8, scale=scale, what="d_w")


@pytest.mark.parametrize("mode", ORTHOGONAL)
def test_vectors_shorter_than_epsilon_are_divided_by_it(mode):
    """Keras' rule below a norm of 1e-7, where the divisor no longer moves; and for a zero row."""
    w = np.array([[0.7e-7, -0.5e-7, 0.1e-7], [0.0, 0.0, 0.0], [1.0, 2.0, -0.5], [3.0, -4.0, 0.3]])
    w = w if mode == "rows" else w.T
    assert_is_keras(ORTHOGONAL[mode], w, ulps=8)
    gradient = ORTHOGONAL[mode].gradient(w)
    gradient = gradient if mode == "rows" else gradient.T
    assert not gradient[1].any()
    # It is not across the row, as the gradient of a longer one is: the tiny row may also grow.
    row = w[0] if mode == "rows" else w[:, 0]
    assert abs(gradient[0] @ row) > 0.1 * np.linalg.norm(gradient[0]) * np.linalg.norm(row)


@pytest.mark.parametrize(
    "regularizer", [*REGULARIZERS.values(), *ORTHOGONAL.values()], ids=lambda r: str(serialize(r))
)
def test_gradient_is_the_slope(regularizer, rng):
    """Central differences in float64: an answer that owes nothing to Keras."""
    w = rng.normal(size=(4, 5))
    w[0, 0] = 0.4  # no weight near the kink of |w|
    w[np.abs(w) < 0.05] = 0.3
    if isinstance(regularizer, OrthogonalRegularizer):
        vectors = w if regularizer.mode == "rows" else w.T
        vectors[1] *= 2e-8  # below epsilon
    steps = np.maximum(np.abs(w), 1e-9) * 1e-5
    slopes = np.empty_like(w)
    for index, step in np.ndenumerate(steps):
        up, down = w.copy(), w.copy()
        up[index] += step
        down[index] -= step
        slopes[index] = (regularizer(up) - regularizer(down)) / (up[index] - down[index])
    # Rounding of the penalty over the step: 1e-16 / 1e-6; truncation is step² ≈ 1e-10.
    np.testing.assert_allclose(regularizer.gradient(w) * steps, slopes * steps, rtol=0, atol=1e-14)
    np.testing.assert_allclose(regularizer.gradient(w), slopes, rtol=2e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_at_zero_the_absolute_value_has_slope_zero(dtype):
    w = np.array([0.0, -0.0, 2.0, -3.0], dtype)
    np.testing.assert_array_equal(L1(0.5).gradient(w), np.array([0, 0, 0.5, -0.5], dtype))
    np.testing.assert_array_equal(L1L2(0.5, 1).gradient(w), np.array([0, 0, 4.5, -6.5], dtype))
    for regularizer in (L1(0.5), L1L2(0.5, 1)):
        _, expected = keras_value_and_gradient(regularizer, w)
        np.testing.assert_array_equal(regularizer.gradient(w), expected)


def test_rows_that_are_orthogonal_already():
    """Exact zeros between the rows: no penalty, and no gradient from the kink."""
    w = np.diag([1.0, 2.0, 0.5])
    assert OrthogonalRegularizer()(w) == 0
    assert not OrthogonalRegularizer().gradient(w).any()
    one_way = OrthogonalRegularizer(1.0)([[1.0, 0.0], [-3.0, 0.0]])
    assert one_way == pytest.approx(1, rel=1e-15)  # the one pair has |cos| = 1, whatever its sign


def test_without_the_rounding_through_float32_the_penalties_would_part(rng):
    w = rng.normal(size=(5, 6))
    exact = 0.3 * np.sum(np.abs(w))
    theirs, _ = keras_value_and_gradient(L1L2(l1=0.3), w)
    assert abs(exact / theirs - 1) > 1e-8
    assert L1L2(l1=0.3)(w) == pytest.approx(float(theirs), rel=1e-15)


def test_the_penalty_is_computed_in_the_dtype_of_the_weight(rng):
    w = rng.normal(size=(300, 300)).astype("float32")
    penalty = L2(0.01)(w)
    assert isinstance(penalty, float)
    assert np.float32(penalty) == penalty
    assert penalty != L2(0.01)(w.astype("float64"))
    assert L1()(np.zeros((0, 3))) == 0
    assert L1().gradient(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("layout", ["reversed", "every other", "Fortran", "big-endian", "fixed"])
def test_any_layout_in_memory(layout, rng):
    w = rng.normal(size=(6, 8))
    other = {
        "reversed": w[::-1, ::-1],
        "every other": w[::2, ::3],
        "Fortran": np.asfortranarray(w),
        "big-endian": w.astype(">f8"),
        "fixed": w.copy(),
    }[layout]
    other.flags.writeable = layout != "fixed"
    same = np.ascontiguousarray(other, dtype="float64")
    for regularizer in (L1L2(0.1, 0.2), OrthogonalRegularizer(0.3, "columns")):
        # The order of a sum follows the layout.
        assert regularizer(other) == pytest.approx(regularizer(same), rel=1e-15)
        assert_close(regularizer.gradient(other), regularizer.gradient(same), ulps=8)


def test_what_diverged_flows_through_in_silence():
    w = np.array([[np.inf, 1.0], [3e38, np.nan], [1.0, 2.0]], np.float32)
    for regularizer in (L1(), L2(), OrthogonalRegularizer()):
        assert np.isnan(regularizer(w))
        assert np.isnan(regularizer.gradient(w)).any()
    assert L2()(np.full((2, 2), 3e38, np.float32)) == np.inf


NAMES = ["l1", "L1", "l2", "L2", "l1l2", "L1L2", "orthogonal_regularizer", "OrthogonalRegularizer"]


def test_the_names():
    assert sorted(regularizers.REGULARIZERS) == sorted([*NAMES, "l1_l2"])
    assert get(None) is None
    assert serialize(None) is None
    assert type(get(L2)) is L2
    same = L1L2(0.1, 0.2)
    assert get(same) is same
    for alias in ("l1", "l2", "l1_l2", "orthogonal_regularizer"):
        assert getattr(lstm_ref.regularizers, alias) is regularizers.REGULARIZERS[alias]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_also_one_of_keras_and_round_trips(name):
    keras = require("keras")
    ours, theirs = get(name), keras.regularizers.get(name)
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.get_config() == theirs.get_config()
    described = serialize(ours)
    assert described == {"class_name": type(ours).__name__, "config": ours.get_config()}
    assert serialize(get(described)) == described
    assert serialize(get(keras.regularizers.serialize(theirs))) == described


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("L1", {"l1": 0.3}),
        ("L1", {"l1": 2}),
        ("L1", {"l1": None}),
        ("L2", {"l2": 0.3}),
        ("L2", {"l2": None}),
        ("L2", {"l2": np.float64(0.3)}),
        ("L1L2", {"l1": 0.3, "l2": 1}),
        ("L1L2", {"l1": None, "l2": 0.1}),
        ("OrthogonalRegularizer", {"factor": 0.3, "mode": "columns"}),
    ],
)
def test_configs_are_those_of_keras(name, arguments):
    keras = require("keras")
    config = getattr(lstm_ref.regularizers, name)(**arguments).get_config()
    assert config == getattr(keras.regularizers, name)(**arguments).get_config()
    assert all(type(value) in (float, str) for value in config.values())
    assert get({"class_name": name, "config": config}).get_config() == config


def test_l1_l2_as_a_name_has_the_factors_of_keras_2():
    """The documentation of Keras 3 still says so, while its ``get`` does not know the name."""
    assert get("l1_l2").get_config() == {"l1": 0.01, "l2": 0.01}
    assert get({"class_name": "l1_l2", "config": {"l1": 0.5}}).get_config() == {"l1": 0.5, "l2": 0}
    with pytest.raises(ValueError, match="l1_l2"):
        require("keras").regularizers.get("l1_l2")


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, "much", [0.1], 1e39, 1j])
def test_a_factor_is_refused_where_keras_refuses_it(value):
    keras = require("keras")
    for name, argument in (
        ("L1", "l1"),
        ("L2", "l2"),
        ("L1L2", "l2"),
        ("OrthogonalRegularizer", "factor"),
    ):
        sentence = re.escape(f"{name}({argument}={value!r}): a finite number is needed, 0 or more")
        with pytest.raises(ValueError, match=sentence):
            getattr(lstm_ref.regularizers, name)(**{argument: value})
        if value != 1e39:  # Keras takes it, and its float32 makes infinity of it
            with pytest.raises(ValueError, match=argument):
                getattr(keras.regularizers, name)(**{argument: value})


def a_penalty_of_its_own(w):
    return np.sum(w**4)


def test_refusals():
    with pytest.raises(ValueError, match=r"there is no regularizer 'l3'; there are l1, l1l2, l2, "):
        get("l3")
    with pytest.raises(
        UnsupportedError, match=r"a Regularizer, not <function a_penalty_of_its_own"
    ):
        get(a_penalty_of_its_own)
    with pytest.raises(UnsupportedError, match=r"L2 object.*those of lstm_ref.regularizers, not"):
        get(require("keras").regularizers.L2())
    with pytest.raises(UnsupportedError, match=r"not 0\.01; "):
        get(0.01)
    with pytest.raises(ModelFormatError, match=r"L2 cannot have the config \{'l3': 1\}"):
        get({"class_name": "L2", "config": {"l3": 1}})
    with pytest.raises(ValueError, match="mode='diagonal' is not one of 'rows', 'columns'"):
        OrthogonalRegularizer(mode="diagonal")
    with pytest.raises(DTypeError, match=r"w is int64.*float32 or float64"):
        L2()([1, 2])
    with pytest.raises(DTypeError, match="w is int64"):
        L2().gradient([1, 2])


@pytest.mark.parametrize("call", [OrthogonalRegularizer.__call__, OrthogonalRegularizer.gradient])
def test_orthogonal_needs_two_vectors(call):
    with pytest.raises(ShapeError, match=r"the rows of a matrix, and w has shape \(8,\): .* bias"):
        call(OrthogonalRegularizer(), np.ones(8))
    with pytest.raises(ShapeError, match=r"\(1, 8\): there are no two.*use mode='columns'"):
        call(OrthogonalRegularizer(), np.ones((1, 8)))
    with pytest.raises(ShapeError, match=r"\(8, 1\): there are no two.*use mode='rows'"):
        call(OrthogonalRegularizer(mode="columns"), np.ones((8, 1)))


def test_keras_penalty_on_a_single_row_is_nan():
    """Why it is refused."""
    keras = require("keras")
    assert np.isnan(keras.regularizers.OrthogonalRegularizer()(np.ones((1, 8), "float32")))
