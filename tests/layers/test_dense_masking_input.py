"""Dense, Masking and Input against Keras, and their error sentences."""

import inspect
import re

import numpy as np
import pytest

from lstm_ref.errors import DTypeError, ShapeError, UnsupportedError
from lstm_ref.layers import Dense, Input, InputLayer, Masking
from tests.keras_peer import OURS, assert_close, keras_library, library_dtype, random_weights


def both_dense(rng, features, **arguments):
    theirs, ours = (library.layers.Dense(**arguments) for library in (keras_library(), OURS))
    for layer in (theirs, ours):
        layer.build((None, features))
    weights = random_weights([w.shape for w in theirs.get_weights()], rng)
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 3), (2, 4, 5, 3)])
@pytest.mark.parametrize("activation", [None, "tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_dense_equals_keras_on_any_leading_axes(dtype, shape, activation, use_bias, rng):
    with library_dtype(dtype):
        theirs, ours = both_dense(rng, 3, units=4, activation=activation, use_bias=use_bias)
        x = rng.normal(size=shape).astype(dtype)
        assert_close(ours(x), np.asarray(theirs(x)), ulps=6)
    assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))
    assert [w.name for w in theirs.weights] == list(ours.params)
    assert (ours.bias is None) is not use_bias
    np.testing.assert_array_equal(ours.kernel, ours.get_weights()[0])


def test_dense_gradients_equal_keras(rng):
    import tensorflow as tf

    with library_dtype("float64"):
        theirs, ours = both_dense(rng, 3, units=4, activation="tanh")
        x = rng.normal(size=(2, 5, 3))
        y, cache = ours.forward(x, keep_cache=True)
        d_y = rng.normal(size=y.shape)
        d_x, gradients = ours.backward(d_y, cache)
        with tf.GradientTape() as tape:
            inputs = tf.Variable(x)
            target = tf.reduce_sum(theirs(inputs) * d_y)
        wanted = tape.gradient(target, [inputs, *[w.value for w in theirs.weights]])
    for name, a, b in zip(("x", *gradients), (d_x, *gradients.values()), wanted, strict=True):
        assert_close(a, b.numpy(), ulps=20, what=f"d_{name}")


def test_dense_arguments_are_those_of_keras():
    theirs = inspect.signature(keras_library().layers.Dense.__init__).parameters
    ours = inspect.signature(Dense.__init__).parameters
    positional = [n for n, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD] == positional
    assert [ours[n].default for n in positional] == [theirs[n].default for n in positional]
    config = Dense(3, "relu", kernel_initializer="he_normal").get_config()
    assert Dense.from_config(config).get_config() == config


def test_dense_sentences():
    layer = Dense(2, name="head")
    with pytest.raises(ShapeError, match=r"\(5,\), and reads \(batch, ..., features\).*x\[None\]"):
        layer(np.zeros(5))
    layer(np.zeros((1, 3)))
    with pytest.raises(ShapeError, match=r"4 features on the last axis.*were made for 3"):
        layer(np.zeros((1, 4)))
    with pytest.raises(ShapeError, match="must be known"):
        Dense(2).build((None, None))
    with pytest.raises(UnsupportedError, match=re.escape("Dense(lora_rank=4)")):
        Dense(2, lora_rank=4)
    with pytest.raises(DTypeError, match="complex"):
        layer(np.zeros((1, 3), complex))
    with pytest.raises(DTypeError, match="rows of unequal length"):
        layer(np.array([[1, 2, 3], [None, 2, 3]], dtype=object))


# Masking.


@pytest.mark.parametrize("mask_value", [0.0, -1.0, 0.1])
def test_masking_equals_keras(mask_value, rng):
    x = rng.normal(size=(3, 6, 2)).astype("float32")
    x[0, 4:] = mask_value
    x[1, :2] = mask_value
    x[2, 3, 0] = mask_value  # one feature alone is not a masked step
    x[2, 5] = -np.float32(mask_value)  # -0.0 equals 0.0, and -0.1 does not equal 0.1
    theirs = keras_library().layers.Masking(mask_value)
    ours = Masking(mask_value)
    np.testing.assert_array_equal(ours.compute_mask(x), np.asarray(theirs.compute_mask(x)))
    np.testing.assert_array_equal(ours(x), np.asarray(theirs(x)))


def test_masking_sees_a_nan_as_a_real_step():
    x = np.array([[[np.nan, 0.0], [0.0, 0.0]]])
    np.testing.assert_array_equal(Masking().compute_mask(x), [[True, False]])
    theirs = keras_library().layers.Masking()
    np.testing.assert_array_equal(np.asarray(theirs.compute_mask(x)), [[True, False]])


def test_masking_with_nan_would_mask_nothing():
    with pytest.raises(ValueError, match="NaN equals nothing: pad with a number"):
        Masking(np.nan)


def test_masking_lets_no_gradient_through(rng):
    x = rng.normal(size=(1, 3, 2))
    x[0, 1] = 0
    _, cache = Masking().forward(x, keep_cache=True)
    d_x, gradients = Masking().backward(np.ones((1, 3, 2)), cache)
    np.testing.assert_array_equal(d_x[0, :, 0], [1, 0, 1])
    assert gradients == {}


def test_masking_config():
    config = Masking(-1, name="gaps").get_config()
    assert config == {"name": "gaps", "trainable": True, "dtype": "float32", "mask_value": -1.0}
    assert Masking.from_config(config).get_config() == config


# Input.


def test_input_shapes():
    assert Input((10, 1)).batch_shape == (None, 10, 1)
    assert Input((None, 3), batch_size=4).batch_shape == (4, None, 3)
    assert Input(batch_shape=(2, 5, 3)).batch_shape == (2, 5, 3)
    assert isinstance(Input((10, 1)), InputLayer)
    config = Input((10, 1), dtype="float64", name="x").get_config()
    assert config == {"batch_shape": [None, 10, 1], "dtype": "float64", "name": "x"}
    assert InputLayer.from_config(config).get_config() == config


def test_input_sentences():
    with pytest.raises(ValueError, match="either shape"):
        Input()
    with pytest.raises(ValueError, match="either shape"):
        Input((3,), batch_shape=(None, 3))
    with pytest.raises(ValueError, match="batch_size with shape"):
        Input(batch_size=2, batch_shape=(None, 3))
    with pytest.raises(UnsupportedError, match=re.escape("Input(sparse=True) is not supported")):
        Input((3,), sparse=True)


def test_input_rounds_to_its_dtype_only_when_told(rng):
    x = rng.normal(size=(2, 3))
    np.testing.assert_array_equal(Input((3,)).read(x), x)
    np.testing.assert_array_equal(Input((3,), dtype="float32").read(x), x.astype("float32"))


def test_whole_numbers_stay_what_they_are():
    big = np.array([[2**24 + 1]])
    np.testing.assert_array_equal(Input((1,)).read(big), big, strict=True)
    np.testing.assert_array_equal(Input((1,), dtype="int64").read(big), big, strict=True)


def test_input_hands_on_what_it_gets(rng):
    x = rng.normal(size=(2, 3))
    np.testing.assert_array_equal(Input((3,))(x), x)
    d_x, gradients = Input((3,)).backward(x, None)
    np.testing.assert_array_equal(d_x, x)
    assert gradients == {}


# Where the shape of the data can be said.


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"input_shape": (10, 1)}, (None, 10, 1)),
        ({"batch_input_shape": (4, 10, 1)}, (4, 10, 1)),
        ({"batch_shape": (4, 10, 1)}, (4, 10, 1)),
        ({"input_dim": 3}, (None, None, 3)),
        ({"input_dim": 3, "input_length": 10}, (None, 10, 3)),
    ],
)
def test_the_shape_can_be_said_on_the_first_layer(arguments, shape):
    assert OURS.layers.LSTM(4, **arguments).declared_shape == shape
    assert Dense(4, input_dim=3).declared_shape == (None, 3)
