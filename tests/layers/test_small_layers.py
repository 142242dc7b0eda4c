"""Dropout, Activation and RepeatVector: against Keras, and by themselves; their sentences."""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref import Sequential
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers import LSTM, Activation, Dense, Dropout, Input, RepeatVector
from lstm_ref.layers.carried_mask import carried_mask
from lstm_ref.layers.session import set_seed
from tests.keras_peer import OURS, Library, keras_library, library_dtype
from tests.layers.twin_layers import (
    assert_config_round_trip,
    assert_same_config,
    assert_same_gradients,
    assert_same_masks,
    assert_same_outputs,
    twin_layers,
)
from tests.peers import require

SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


@pytest.mark.parametrize("name", ["Dropout", "Activation", "RepeatVector"])
def test_defaults_and_argument_order_are_those_of_keras(name):
    theirs = inspect.signature(getattr(keras_library().layers, name).__init__).parameters
    ours = inspect.signature(getattr(OURS.layers, name).__init__).parameters
    positional = [n for n, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD] == positional
    assert [ours[n].default for n in positional] == [theirs[n].default for n in positional]


# Dropout.


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES, rate=st.sampled_from([0.0, 0.3, 0.9]))
def test_with_keras_draws_dropout_is_keras(seed, shape, rate):
    rng = np.random.default_rng(seed)
    keras = require("keras")
    with library_dtype("float64"):
        theirs, ours = twin_layers(lambda lib: lib.layers.Dropout(rate), rng, (None, *shape[1:]))
        x = rng.normal(size=shape)
        keras.utils.set_random_seed(seed)
        factors = np.asarray(keras.layers.Dropout(rate, seed=3)(np.ones(shape), training=True))
        theirs = keras.layers.Dropout(rate, seed=3)  # draws the same
        ours.draw = lambda *_: factors
        assert_same_outputs(ours(x, training=True), theirs(x, training=True), ulps=1)
        ours.draw = lambda *_: factors
        theirs = keras.layers.Dropout(rate, seed=3)
        assert_same_gradients(theirs, ours, x, rng, training=True, ulps=1)
        assert_same_outputs(ours(x), theirs(x), ulps=0)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rate_and_the_scale(rate, dtype):
    x = np.ones((300, 40), dtype)
    y = Dropout(rate, seed=4, dtype=dtype)(x, training=True)
    assert y.dtype == dtype
    with library_dtype(dtype):
        theirs = np.asarray(keras_library().layers.Dropout(rate)(x, training=True))
    np.testing.assert_array_equal(np.unique(y), np.unique(theirs))
    spread = 5 * np.sqrt(rate * (1 - rate) / x.size)
    assert abs(np.mean(y == 0) - rate) < spread
    assert len(np.unique(y == 0, axis=0)) > 1  # rows drop on their own


def test_what_is_drawn_may_be_shared_along_axes():
    x = np.ones((4, 5, 6))
    for noise_shape, drawn in (
        ((None, 1, None), (4, 1, 6)),
        ([None, 1, 1], (4, 1, 1)),
        ((1, 5, 6), (1, 5, 6)),
        ((4, None, 1), (4, 5, 1)),
    ):
        layer = Dropout(0.5, noise_shape=noise_shape, seed=1)
        y = layer(x, training=True)
        assert layer.draw(x.shape, "float32").shape == drawn
        for axis, (n, m) in enumerate(zip(drawn, x.shape, strict=True)):
            if n < m:
                assert np.all(y == np.take(y, [0], axis=axis))
            else:
                assert np.any(y != np.take(y, [0], axis=axis)) or n == 1
        z, cache = layer.forward(x.astype("float32"), training=True, keep_cache=True)
        np.testing.assert_array_equal(layer.backward(np.ones_like(z), cache)[0], z)


def test_seeds_repeat(rng):
    x = rng.normal(size=(5, 7)).astype("float32")
    first, same, other = Dropout(0.5, seed=1), Dropout(0.5, seed=1), Dropout(0.5, seed=2)
    drops = [first(x, training=True) for _ in range(3)]
    assert not np.array_equal(drops[0], drops[1])
    for drop in drops:
        np.testing.assert_array_equal(same(x, training=True), drop)
    assert not np.array_equal(other(x, training=True), drops[0])
    first.restart_dropout()
    np.testing.assert_array_equal(first(x, training=True), drops[0])
    set_seed(3)
    without = Dropout(0.5)
    drop = without(x, training=True)
    assert not np.array_equal(Dropout(0.5)(x, training=True), drop)
    without.restart_dropout()
    np.testing.assert_array_equal(without(x, training=True), drop)
    set_seed(3)
    np.testing.assert_array_equal(Dropout(0.5)(x, training=True), drop)


@pytest.mark.parametrize("layer", [Dropout(0.5), Dropout(0)])
def test_outside_training_the_numbers_pass_as_a_copy(layer, rng):
    x = rng.normal(size=(5, 7)).astype("float32")
    kept = x.copy()
    for training in (False, None):
        y = layer(x, training=training)
        np.testing.assert_array_equal(y, x)
        y[:] = 7  # Keras' arrays cannot be written into, so nobody there minds whose they are
        np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(Dropout(0)(x, training=True), x)


def test_a_model_drops_in_fit_alone(rng):
    x, y = rng.normal(size=(6, 3)).astype("float32"), rng.normal(size=(6, 1)).astype("float32")
    model = Sequential([Input((3,)), Dropout(0.5, seed=1), Dense(1)])
    model.compile("sgd", "mse")
    plain = Sequential([Input((3,)), Dense(1)])
    plain.compile("sgd", "mse")
    plain.set_weights(model.get_weights())
    assert model.evaluate(x, y, verbose=0) == plain.evaluate(x, y, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), plain.predict(x, verbose=0))
    for made in (model, plain):
        made.fit(x, y, verbose=0)
    assert not np.array_equal(model.get_weights()[0], plain.get_weights()[0])


@pytest.mark.parametrize("noise_shape", [None, (None, 1, None)])
def test_the_config_of_dropout_is_keras(noise_shape):
    options = {"noise_shape": noise_shape, "seed": 3, "name": "some"}
    theirs, ours = (lib.layers.Dropout(0.25, **options) for lib in (keras_library(), OURS))
    assert_same_config(ours.get_config(), theirs.get_config())
    assert_config_round_trip(ours)
    x = np.ones((3, 4, 5), "float32")
    again = Dropout.from_config(ours.get_config())
    np.testing.assert_array_equal(again(x, training=True), ours(x, training=True))
    assert type(Dropout(0.5, seed=np.int32(3)).get_config()["seed"]) is int


# Activation.


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=SHAPES,
    name=st.sampled_from(
        ["tanh", "sigmoid", "relu", "softsign", "hard_sigmoid", "softplus", "elu", "selu", "silu",
         "exponential", "linear", None]
    ),
)  # fmt: skip
def test_activations_are_keras(seed, shape, name):
    rng = np.random.default_rng(seed)
    with library_dtype("float64"):

        def build(lib: Library) -> Any:
            return lib.layers.Activation(name)

        theirs, ours = twin_layers(build, rng, (None, *shape[1:]))
        x = rng.normal(size=shape)
        assert_same_outputs(ours(x), theirs(x), ulps=4)
        assert_same_gradients(theirs, ours, x, rng, ulps=8)


@pytest.mark.parametrize("name", ["relu", "tanh", "linear", None])
def test_the_config_of_activation_is_keras(name):
    theirs, ours = (lib.layers.Activation(name, name="a") for lib in (keras_library(), OURS))
    assert_same_config(ours.get_config(), theirs.get_config())
    assert_config_round_trip(ours)


def test_an_activation_with_parameters():
    layer = Activation(("leaky_relu", 0.1))
    np.testing.assert_allclose(layer(np.array([[-1.0, 2.0]])), [[-0.1, 2.0]], rtol=1e-6)
    assert_config_round_trip(layer)


# RepeatVector.


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1), B=st.integers(1, 4), D=st.integers(1, 40), n=st.integers(1, 9)
)
def test_repeat_vector_is_keras(seed, B, D, n):
    rng = np.random.default_rng(seed)
    with library_dtype("float64"):
        theirs, ours = twin_layers(lambda lib: lib.layers.RepeatVector(n), rng, (None, D))
        x = rng.normal(size=(B, D))
        assert_same_outputs(ours(x), theirs(x), ulps=0)
        assert_same_gradients(theirs, ours, x, rng)
        for shape in ((B, D), (None, D)):
            assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape)


def test_the_config_of_repeat_vector_is_keras():
    theirs, ours = (lib.layers.RepeatVector(3, name="again") for lib in (keras_library(), OURS))
    assert_same_config(ours.get_config(), theirs.get_config())
    assert_config_round_trip(ours)


# Masks.


@pytest.mark.parametrize(
    "make", [lambda lib: lib.layers.Dropout(0.5), lambda lib: lib.layers.Activation("relu")]
)
def test_masks_pass_through(make, rng):
    x = rng.normal(size=(2, 4, 3)).astype("float32")
    x[0, 2:] = 0
    chains = [make(lib)(lib.layers.Masking()(x)) for lib in (OURS, keras_library())]
    assert_same_masks(*chains)
    np.testing.assert_array_equal(carried_mask(chains[0])[0], [True, True, False, False])


def test_what_is_repeated_has_no_padding(rng):
    x = rng.normal(size=(2, 3)).astype("float32")
    assert RepeatVector(4).compute_mask(x, np.ones(2, bool)) is None
    assert carried_mask(RepeatVector(4)(x, mask=np.ones(2, bool))) is None


@pytest.mark.parametrize("layer", [Dropout(0.5), Activation("relu"), RepeatVector(2)])
def test_no_rows_give_nothing(layer):
    y, cache = layer.forward(np.zeros((0, 3), "float32"), training=True, keep_cache=True)
    assert y.shape == layer.compute_output_shape((0, 3))
    assert layer.backward(y, cache)[0].shape == (0, 3)


# Sentences.


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: Dropout(1),
            ValueError,
            "Dropout(rate=1): a number from 0 to below 1 is needed; 1 would drop everything",
        ),
        (lambda: Dropout(-0.1), ValueError, "Dropout(rate=-0.1): a number from 0 to below 1"),
        (lambda: Dropout("half"), ValueError, "Dropout(rate='half'): a number from 0"),
        (lambda: Dropout(True), ValueError, "Dropout(rate=True): a number from 0"),
        (
            lambda: Dropout(0.5, seed=1.5),
            UnsupportedError,
            "Dropout(seed=1.5): a seed is an integer",
        ),
        (lambda: Dropout(0.5, noise_shape="a"), ValueError, "Dropout(noise_shape='a'): a tuple of"),
        (lambda: Dropout(0.5, noise_shape=(None, 0)), ValueError, "whole numbers, 1 or more"),
        (lambda: Dropout(0.5, noise_shape=(1.5,)), ValueError, "whole numbers, 1 or more"),
        (
            lambda: Dropout(0.5, noise_shape=(None, 1), name="d")(
                np.ones((2, 3, 4)), training=True
            ),
            ShapeError,
            (
                "layer 'd' (Dropout) has noise_shape=(None, 1), and its input has shape (2, 3, 4): "
                "one length for each axis is needed, that of the input (or None), or 1"
            ),
        ),
        (
            lambda: Dropout(0.5, noise_shape=(None, 2, None))(np.ones((2, 3, 4)), training=True),
            ShapeError,
            "has noise_shape=(None, 2, None), and its input has shape (2, 3, 4)",
        ),
        (
            lambda: Dropout(0.5, noise_shape=(2, 1, 4, 1))(np.ones((2, 3, 4)), training=True),
            ShapeError,
            "one length for each axis is needed",
        ),
        (lambda: Activation("tahn"), ValueError, "unknown activation 'tahn'"),
        (lambda: Activation("relu", 1), TypeError, "positional"),
        (lambda: RepeatVector(0), ValueError, "RepeatVector(n=0): a positive whole number"),
        (lambda: RepeatVector(2.0), ValueError, "RepeatVector(n=2.0): a positive whole number"),
        (
            lambda: RepeatVector(2, name="r")(np.ones((2, 3, 4))),
            ShapeError,
            (
                "layer 'r' (RepeatVector) got an input of shape (2, 3, 4), and reads (batch, "
                "features): set return_sequences=False on the LSTM before it"
            ),
        ),
        (
            lambda: Sequential([Input((4, 3)), LSTM(2, return_sequences=True), RepeatVector(2)]),
            ShapeError,
            "set return_sequences=False on the LSTM before it",
        ),
        (
            lambda: Dropout(0.5, axis=1),
            UnsupportedError,
            "Dropout(axis=...): there is no such argument here",
        ),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        call()
