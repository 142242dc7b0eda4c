"""Softmax at the end of a model: as a Dense's activation, as Activation, as a layer of its own."""

import inspect
import re

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers import LSTM, Activation, Dense, Softmax
from tests.cases import BACKENDS, computing
from tests.keras_peer import OURS, keras_library, library_dtype
from tests.layers.twin_layers import (
    assert_config_round_trip,
    assert_same_config,
    assert_same_gradients,
    assert_same_outputs,
    twin_layers,
)

LAYERS = {
    "Dense(softmax)": lambda lib: lib.layers.Dense(4, activation="softmax"),
    "Dense(log_softmax)": lambda lib: lib.layers.Dense(4, activation="log_softmax"),
    "Dense without bias": lambda lib: lib.layers.Dense(4, activation="softmax", use_bias=False),
    "one unit": lambda lib: lib.layers.Dense(1, activation="log_softmax"),
    "Activation(softmax)": lambda lib: lib.layers.Activation("softmax"),
    "Activation(log_softmax)": lambda lib: lib.layers.Activation("log_softmax"),
    "Softmax": lambda lib: lib.layers.Softmax(),
    "TimeDistributed": lambda lib: lib.layers.TimeDistributed(
        lib.layers.Dense(4, activation="softmax")
    ),
}
each = pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)


@each
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(3, 5, 2), (1, 1, 3)])
def test_outputs_and_gradients_equal_keras(build, backend, shape, rng):
    with library_dtype("float64"), computing(backend):
        theirs, ours = twin_layers(build, rng, (None, *shape[1:]))
        for scale in (1.0, 100.0):
            x = rng.normal(scale=scale, size=shape)
            assert_same_outputs(ours(x), theirs(x), ulps=200)
            assert_same_gradients(theirs, ours, x, rng, ulps=400)


@each
def test_configs(build, rng):
    with library_dtype("float64"):
        theirs, ours = twin_layers(build, rng, (None, 5, 2))
        assert_config_round_trip(ours)
        if "TimeDistributed" not in type(ours).__name__:
            alike = {"name": ours.name}
            assert_same_config(ours.get_config(), theirs.get_config() | alike)


def test_arguments_are_those_of_keras():
    theirs = inspect.signature(keras_library().layers.Softmax.__init__).parameters
    ours = inspect.signature(OURS.layers.Softmax.__init__).parameters
    assert list(ours)[:2] == list(theirs)[:2] == ["self", "axis"]
    assert ours["axis"].default == theirs["axis"].default


@pytest.mark.parametrize(
    ("layer", "activation"),
    [
        (lambda: Dense(4, activation="softmax"), "softmax"),
        (lambda: Dense(4, activation=lr.activations.softmax), "softmax"),
        (lambda: Dense(4, activation="sigmoid"), "sigmoid"),
        (lambda: Dense(4), "linear"),
        (lambda: Dense(4, activation=("leaky_relu", 0.1)), None),
        (lambda: Activation("softmax"), "softmax"),
        (lambda: Activation("sigmoid"), "sigmoid"),
        (lambda: Softmax(), "softmax"),
        (lambda: lr.layers.TimeDistributed(Dense(4, activation="softmax")), None),
        (lambda: LSTM(3, recurrent_activation="sigmoid"), None),
        (lambda: lr.layers.Dropout(0.1), None),
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_behind_the_last_activation(layer, activation, backend, rng):
    """The logits, and the way back from them: the same as through the activation."""
    layer = layer()
    assert layer.final_activation == activation
    if activation is None:
        return
    with computing(backend):
        x = rng.normal(size=(3, 5, 2)).astype(layer.dtype)
        layer(x)
        y, cache = layer.forward(x, keep_cache=True)
        z = layer.logits(cache)
        assert z.shape == y.shape
        activated = lr.activations.get(activation)(z)
        np.testing.assert_allclose(y, activated, rtol=1e-6)
        d_z = rng.normal(size=y.shape).astype(layer.dtype)
        d_x, gradients = layer.backward_from_logits(d_z, cache)
        if isinstance(layer, Dense):
            flat = d_z.reshape(-1, 4)
            np.testing.assert_allclose(d_x, d_z @ layer.kernel.T, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(gradients["bias"], flat.sum(axis=0), rtol=1e-5, atol=1e-6)
            by_hand = x.reshape(-1, 2).T @ flat
            np.testing.assert_allclose(gradients["kernel"], by_hand, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(d_x, d_z)
            assert gradients == {}


def test_the_last_axis_by_its_number(rng):
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    np.testing.assert_array_equal(Softmax(axis=2)(x), Softmax()(x))
    assert Softmax(axis=2).get_config()["axis"] == 2


def test_a_mask_of_the_steps_passes_and_one_of_the_units_is_refused(rng):
    x = rng.normal(size=(2, 3, 4))
    mask = np.array([[True, False, True], [False, False, True]])
    layer = Softmax(dtype="float64")
    y = layer(x, mask=mask)
    np.testing.assert_array_equal(y, layer(x))
    np.testing.assert_array_equal(lr.layers.carried_mask.carried_mask(y), mask)
    for wrong in (np.ones((2, 3, 4), bool), np.ones((2, 3, 1), bool)):
        with pytest.raises(UnsupportedError, match="a mask of the units is not supported"):
            layer(x, mask=wrong)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: Softmax(axis=-2), UnsupportedError, "Softmax(axis=-2) is not supported"),
        (lambda: Softmax(axis=(0, 1)), UnsupportedError, "Softmax(axis=(0, 1)) is not"),
        (
            lambda: Softmax(axis=1, name="s")(np.ones((2, 3, 4))),
            UnsupportedError,
            "layer 's' got an input of shape (2, 3, 4), and has axis=1: a softmax goes along the",
        ),
        (lambda: Softmax()(np.ones(3)), ShapeError, "reads (batch, ..., units); for one row use"),
        (lambda: Dense(3, activation="glu"), UnsupportedError, "activation 'glu' mixes the units"),
        (lambda: Dense(3, activation=("softmax", 1)), UnsupportedError, "'softmax' mixes"),
        (lambda: LSTM(3, activation="softmax"), UnsupportedError, "as the activation of a Dense"),
        (
            lambda: lr.dense_forward(np.ones((2, 3)), np.ones((3, 2)), activation="softmax"),
            UnsupportedError,
            "activation 'softmax' mixes the units",
        ),
    ],
)
def test_what_is_not_there_is_refused_by_name(make, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        make()


def test_a_model_with_it_is_saved_and_summed_up(tmp_path, rng):
    layers = [LSTM(3, return_sequences=True, input_shape=(None, 2)), Dense(4), Softmax()]
    model = lr.Sequential(layers)
    x = rng.normal(size=(2, 5, 2)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0).sum(axis=-1), 1, rtol=1e-6)
    model.save(tmp_path / "model.npz")
    again = lr.load_model(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    lines = []
    model.summary(print_fn=lines.append)
    assert "softmax (Softmax)" in "\n".join(lines)
