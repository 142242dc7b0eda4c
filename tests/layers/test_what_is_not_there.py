"""What Keras has and lstm_ref has not: an error that says so, and what to do instead."""

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref import layers
from lstm_ref.layers import LSTM, Dense, Input, Masking


@pytest.mark.parametrize("name", ["GRU", "Conv1D", "Lambda"])
def test_a_layer_of_keras_is_refused_by_name_when_it_is_imported(name):
    with pytest.raises(lr.UnsupportedError, match=f"the layer {name} is not supported yet.*Dense"):
        exec(f"from lstm_ref.layers import {name}", {})
    with pytest.raises(lr.UnsupportedError, match=name):
        getattr(layers, name)


def test_a_name_that_nobody_has_is_an_ordinary_error():
    assert not hasattr(layers, "Dence")
    with pytest.raises(ImportError, match="Dence"):
        exec("from lstm_ref.layers import Dence", {})
    assert not layers.NOT_THERE & set(dir(layers))


def test_the_functional_api_is_named():
    with pytest.raises(lr.UnsupportedError, match=r"functional API.*Sequential"):
        LSTM(4)(Input((10, 3)))


def test_keras_path_to_pad_sequences():
    assert lr.preprocessing.sequence.pad_sequences is lr.pad_sequences


STACKED = r"'lstm_1' \(LSTM\) reads a sequence, and 'lstm' before it gives only its last output"


def test_an_lstm_after_the_end_of_the_sequence_is_told_who_ended_it():
    """In each walk through the layers: when they are made, built, and given data."""
    with pytest.raises(lr.ShapeError, match=STACKED + r".*set return_sequences=True on 'lstm'"):
        lr.Sequential([Input((10, 3)), LSTM(4), LSTM(4), Dense(1)])
    lr.clear_session()
    model = lr.Sequential([LSTM(4), LSTM(4), Dense(1)])
    with pytest.raises(lr.ShapeError, match=STACKED):
        model.build((None, 10, 3))
    with pytest.raises(lr.ShapeError, match=STACKED):
        model.predict(np.ones((2, 10, 3)))


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"input_shape": 10}, TypeError, r"input_shape=10: a tuple is needed"),
        ({"input_shape": (10,)}, lr.ShapeError, r"\(10,\).*\(time, features\) without the batch"),
        ({"input_shape": (64, 10, 3)}, lr.ShapeError, r"\(64, 10, 3\).*without the batch axis"),
        ({"batch_input_shape": (10, 3)}, lr.ShapeError, r"\(batch, time, features\)"),
    ],
)
def test_shapes_given_with_a_layer(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        LSTM(4, **arguments)


def test_shapes_given_to_an_input():
    with pytest.raises(TypeError, match=r"shape=10: a tuple is needed"):
        Input(10)
    assert Masking(input_shape=(10, 3)).declared_shape == (None, 10, 3)
    assert Dense(2, input_shape=(3,)).declared_shape == (None, 3)


def test_training_that_diverges_shows_in_the_loss_and_warns_of_nothing():
    x, y = np.ones((8, 5, 1)), np.ones((8, 5, 1))
    model = lr.Sequential([LSTM(4, activation="relu", return_sequences=True), Dense(1)])
    model.compile(lr.optimizers.SGD(1e30), "mse")
    history = model.fit(x, y, epochs=4).history["loss"]
    assert not np.isfinite(history[-1])
