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


def test_training_that_diverges_says_so_and_warns_of_nothing():
    x, y = np.ones((8, 5, 1)), np.ones((8, 5, 1))
    model = lr.Sequential([LSTM(4, activation="relu", return_sequences=True), Dense(1)])
    model.compile(lr.optimizers.SGD(1e30), "mse")
    with pytest.raises(lr.NonFiniteError, match=r"lower learning_rate"):
        model.fit(x, y, epochs=4)
    model.compile(lr.optimizers.SGD(1e30), "mse")
    history = model.fit(x, y, epochs=4, callbacks=[lr.callbacks.TerminateOnNaN()], verbose=0)
    assert not np.isfinite(history.history["loss"][-1])


def test_time_distributed_after_the_end_of_the_sequence_is_told_who_ended_it():
    message = (
        r"'time_distributed' \(TimeDistributed\) reads a sequence.*return_sequences=True on 'lstm'"
    )
    with pytest.raises(lr.ShapeError, match=message):
        lr.Sequential([Input((5, 3)), LSTM(3), layers.TimeDistributed(Dense(1))])


def test_a_model_inside_a_model_is_named():
    with pytest.raises(TypeError, match="models inside models are not supported yet"):
        lr.Sequential([lr.Sequential([LSTM(3)])])


def test_every_layer_of_a_model_computes_in_its_own_dtype():
    lower, upper = LSTM(3, dtype="float32"), layers.Activation("tanh", dtype="float64")
    model = lr.Sequential([Input((5, 3)), lower, upper])
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_array_equal(model(x), upper(lower(x)), strict=True)
    assert model.predict(x).dtype == model(x).dtype == np.float64
    words = lr.Sequential([Input((5,)), layers.Dropout(0.5), layers.Embedding(4, 2)])
    assert words(np.zeros((1, 5))).shape == (1, 5, 2)


def test_masks_and_training_are_said_by_name_and_masks_fit():
    with pytest.raises(TypeError):
        layers.Dropout(0.5)(np.ones((2, 3)), True)
    message = r"'dense' \(Dense\) got a mask of shape \(9, 9\) for an input of shape \(4, 5, 3\)"
    with pytest.raises(lr.ShapeError, match=message):
        Dense(2)(np.zeros((4, 5, 3)), mask=np.ones((9, 9)))


def test_regularizers_and_constraints_are_attributes_that_are_not_reassigned():
    dense, lstm = Dense(2, kernel_regularizer="l2"), LSTM(3, recurrent_constraint="max_norm")
    assert dense.kernel_regularizer.get_config() == {"l2": 0.01}
    assert lstm.recurrent_constraint is lstm.cell.recurrent_constraint is not None
    assert (dense.bias_regularizer, lstm.kernel_constraint) == (None, None)
    for layer in (dense, lstm):
        with pytest.raises(AttributeError):
            layer.kernel_regularizer = None
