"""Sequential: the layers, the summary, the weights, the files, and the sentences on the way."""

import json
import re
from typing import Any

import numpy as np
import pytest

from lstm_ref import layers
from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.formats import ModelRecord
from lstm_ref.layers import LSTM, Dense, Input, Layer, Masking
from lstm_ref.layers.session import clear_session, set_seed
from lstm_ref.losses import MeanAbsoluteError
from lstm_ref.models import Sequential, load_model
from lstm_ref.optimizers import Adam
from tests.keras_peer import (
    OURS,
    Library,
    assert_close,
    keras_library,
    library_dtype,
    random_weights,
    twin_models,
)
from tests.peers import require


def both(build) -> list[Any]:
    return [build(library) for library in (keras_library(), OURS)]


# Building.


def test_an_input_builds_the_model_at_once():
    model = Sequential([Input((10, 1)), LSTM(4, return_sequences=True), Dense(1)])
    assert model.built
    assert (model.input_shape, model.output_shape) == ((None, 10, 1), (None, 10, 1))
    assert [w.shape for w in model.get_weights()] == [(1, 16), (4, 16), (16,), (4, 1), (1,)]
    assert list(model.named_weights()) == [
        *("lstm/kernel", "lstm/recurrent_kernel", "lstm/bias"),
        *("dense/kernel", "dense/bias"),
    ]


def test_an_input_shape_on_the_first_layer_is_an_input():
    model = Sequential()
    model.add(LSTM(4, input_shape=(10, 1)))
    model.add(Dense(2))
    assert model.output_shape == (None, 2)
    assert [layer.name for layer in model.layers] == ["lstm", "dense"]
    assert model.get_layer("dense") is model.get_layer(index=1)


def test_without_a_shape_the_model_is_built_by_its_first_data_or_by_hand(rng):
    model = Sequential([LSTM(4), Dense(2)])
    assert not model.built
    with pytest.raises(AttributeError, match="no input shape before it is built"):
        _ = model.input_shape
    assert model(rng.normal(size=(3, 5, 2))).shape == (3, 2)
    assert model.input_shape == (3, 5, 2)
    by_hand = Sequential([LSTM(4), Dense(2)])
    by_hand.build((None, None, 2))
    assert by_hand.input_shape == (None, None, 2)
    with pytest.raises(ShapeError, match=r"input shape \(None, None, 2\) already, and cannot"):
        by_hand.build((None, 5, 3))


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "call"])
@pytest.mark.parametrize("rows", [7, 8])
def test_the_batch_axis_of_a_model_built_by_its_data_is_keras(method, rows, rng):
    x, y = rng.normal(size=(rows, 5, 3)), rng.normal(size=(rows, 2))
    models = both(lambda lib: lib.models.Sequential([lib.layers.LSTM(4), lib.layers.Dense(2)]))
    for model in models:
        model.compile("sgd", "mse")
        if method == "call":
            model(x)
        elif method == "predict":
            model.predict(x, batch_size=4, verbose=0)
        else:
            getattr(model, method)(x, y, batch_size=4, verbose=0)
    expected = models[0].input_shape
    if (method, rows) == ("predict", 7):  # Keras then takes the size of the first batch
        assert expected == (4, 5, 3)
        expected = (None, 5, 3)
    assert models[1].input_shape == expected


def test_layers_are_added_taken_off_and_told_apart():
    model = Sequential([Input((5, 3)), LSTM(4), Dense(2)])
    assert isinstance(model.pop(), Dense)
    assert model.output_shape == (None, 4)
    with pytest.raises(ValueError, match="the model has a layer named 'lstm' already"):
        model.add(Dense(1, name="lstm"))
    with pytest.raises(ValueError, match="the Input comes first"):
        model.add(Input((5, 3)))
    with pytest.raises(TypeError, match="is made of layers of lstm_ref"):
        model.add("dense")
    with pytest.raises(
        ShapeError, match=r"'deep' \(LSTM\) reads a sequence, and 'lstm' before it gives only"
    ):
        model.add(LSTM(4, name="deep"))
    assert [layer.name for layer in model.layers] == ["lstm"]
    with pytest.raises(ValueError, match="there is no layer 'dense'; there are lstm"):
        model.get_layer("dense")
    with pytest.raises(ValueError, match="has no layers to build"):
        Sequential().build((None, 5, 3))
    with pytest.raises(ValueError, match="has no layers"):
        Sequential().predict(np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="no layers to take off"):
        Sequential([Input((5, 3))]).pop()


def test_return_state_is_refused_in_a_row_of_layers():
    with pytest.raises(UnsupportedError, match=r"'lstm' has return_state=True.*by itself"):
        Sequential([LSTM(4, return_state=True)])


def test_names_are_counted_as_in_keras():
    def names(lib: Library) -> list[str]:
        layers = lib.layers
        made = [layers.LSTM(1), layers.LSTM(1), layers.Dense(1), layers.Masking(), layers.LSTM(1)]
        models = [lib.models.Sequential(), lib.models.Sequential()]
        return [thing.name for thing in (*made, *models)]

    require("keras").utils.clear_session()
    expected, got = both(names)
    assert got == expected
    clear_session()
    assert names(OURS) == expected
    assert repr(LSTM(1)) == "<LSTM name=lstm_3, built=False>"


# The summary.


def summary(model: Any, **arguments: Any) -> str:
    written: list[str] = []
    model.summary(print_fn=written.append, **arguments)
    (text,) = written
    return text


def head(lib: Library, *layers: Any, name: str = "model") -> Any:
    return lib.models.Sequential(list(layers), name=name)


SUMMARIES = {
    "mission": lambda lib: head(
        lib,
        lib.layers.Input((10, 1)),
        lib.layers.LSTM(64, return_sequences=True, name="lstm"),
        lib.layers.Dense(1, name="dense"),
    ),
    "unknown length, long name": lambda lib: head(
        lib,
        lib.layers.Input((None, 3)),
        lib.layers.Masking(name="masking"),
        lib.layers.LSTM(5, name="a_name_that_is_longer_than_its_column_and_has_no_space_in_it"),
        lib.layers.Dense(1000, name="a name of several words that is longer than the column"),
    ),
    "fixed batch": lambda lib: head(
        lib,
        lib.layers.Input(batch_shape=(32, 7, 3)),
        lib.layers.LSTM(512, stateful=True, name="l"),
    ),
    "unbuilt": lambda lib: head(lib, lib.layers.LSTM(5, name="l"), lib.layers.Dense(1, name="d")),
    "no layers": head,
}
WIDTHS = [{}, {"line_length": 60}, {"line_length": 120}, {"line_length": 40}, {"line_length": 31}]


@pytest.mark.parametrize("name", SUMMARIES)
@pytest.mark.parametrize(
    "arguments", [*WIDTHS, {"show_trainable": True}, {"positions": [0.3, 0.6, 1]}]
)
def test_the_summary_is_keras_letter_by_letter(name, arguments, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    expected, got = (summary(model, **arguments) for model in both(SUMMARIES[name]))
    assert got == expected


@pytest.mark.parametrize("columns", ["80", "60"])
def test_the_summary_fits_the_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    expected, got = (summary(model) for model in both(SUMMARIES["mission"]))
    assert got == expected


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_summary_counts_frozen_and_optimizer_numbers(optimizer, dtype, rng, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with library_dtype(dtype):
        models = both(SUMMARIES["mission"])
        for model in models:
            model.layers[1].trainable = False
            model.compile(optimizer, "mse")
            model.fit(rng.normal(size=(4, 10, 1)), rng.normal(size=(4, 10, 1)), verbose=0)
        expected, got = (summary(model, show_trainable=True) for model in models)
    assert got == expected


def test_the_summary_is_written_to_standard_output(capsys):
    model = SUMMARIES["mission"](OURS)
    model.summary()
    assert capsys.readouterr().out == summary(model)


def test_summary_sentences():
    model = SUMMARIES["mission"](OURS)
    with pytest.raises(ValueError, match="leaves no room for its columns"):
        model.summary(line_length=10)
    with pytest.raises(ValueError, match=r"three growing numbers are needed, the last 1\.0"):
        model.summary(positions=[0.5, 0.4, 1.0])
    with pytest.raises(UnsupportedError, match="layer_range"):
        model.summary(layer_range=["a", "b"])


# Weights.


def test_weights_go_in_and_out_as_copies(rng):
    model = Sequential([Input((5, 3)), LSTM(4), Dense(2)])
    weights = random_weights([w.shape for w in model.get_weights()], rng)
    model.set_weights(weights)
    for got, given in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(got, given.astype("float32"))
    weights[0][:] = 9
    model.get_weights()[0][:] = 9
    assert not np.any(model.weights[0] == 9)
    assert model.count_params() == sum(w.size for w in weights)


def test_set_weights_sentences():
    model = Sequential([LSTM(4), Dense(2)])
    with pytest.raises(ShapeError, match="has no weights yet: build it first"):
        model.set_weights([])
    model.build((None, 5, 3))
    weights = model.get_weights()
    with pytest.raises(ShapeError, match=r"takes 5 arrays, lstm/kernel, .*dense/bias, and 4 came"):
        model.set_weights(weights[:4])
    message = re.escape("dense/kernel has shape (4, 2), and an array of shape (2, 4) came for it")
    with pytest.raises(ShapeError, match=message):
        model.set_weights([*weights[:3], weights[3].T, weights[4]])


def test_trainable_for_the_whole_model():
    model = Sequential([Input((5, 3)), LSTM(4), Dense(2)], trainable=False)
    assert not model.trainable
    assert model.trainable_weights == []
    assert len(model.non_trainable_weights) == 5
    model.trainable = True
    assert len(model.trainable_weights) == 5


# What goes in.


def test_one_feature_a_step_may_come_without_its_axis_as_in_keras(rng):
    """A model that was told (time, 1) reads (batch, time); any other 2-D input is an error."""

    def build(lib: Library) -> Any:
        return lib.models.Sequential([lib.layers.Input((6, 1)), lib.layers.LSTM(4)])

    theirs, ours = twin_models(build, rng, (None, 6, 1))
    x = rng.normal(size=(3, 6)).astype("float32")
    got = ours.predict(x, verbose=0)
    assert_close(got, theirs.predict(x, verbose=0), ulps=12)
    np.testing.assert_array_equal(ours.predict(x[..., None], verbose=0), got)

    dense = Sequential([Input((3,)), Dense(2)])  # and a last axis of 1 too many is dropped
    np.testing.assert_array_equal(dense(x[:, :3, None]), dense(x[:, :3]))


@pytest.mark.parametrize("build_shape", [(None, None, 3), None])
def test_a_2d_input_gets_the_sentence(build_shape):
    model = Sequential([LSTM(4, name="reader"), Dense(1)])
    model.compile("sgd", "mse")
    if build_shape:
        model.build(build_shape)
    sentence = re.escape("layer 'reader' (LSTM) got an input of shape (")
    with pytest.raises(ShapeError, match=sentence + r".*one feature per step use x\[..., None\]"):
        model.predict(np.zeros((32, 10)))
    with pytest.raises(ShapeError, match=sentence):
        model.fit(np.zeros((32, 10)), np.zeros((32, 1)))
    assert model.built is bool(build_shape)  # the failure changed nothing


def test_another_feature_count_gets_the_sentence():
    model = Sequential([Input((10, 3)), Masking(), LSTM(4), Dense(1)])
    model.compile("sgd", "mse")
    for run in (model.predict, model.predict_on_batch, model, lambda x: model.fit(x, x[:, 0])):
        with pytest.raises(ShapeError, match="2 features a step, and its weights were made for 3"):
            run(np.zeros((5, 10, 2)))


@pytest.mark.parametrize(
    ("return_sequences", "y_shape", "advice"),
    [
        (True, (8, 9, 1), "y has 9 time steps and x has 10; to predict the next step, cut both"),
        (True, (8, 1), "set return_sequences=False on the last LSTM"),
        (False, (8, 10, 1), "set return_sequences=True on the last LSTM"),
        (False, (8, 10), "use Dense(10), or, where the columns of y are time steps"),
        (True, (7, 10, 1), "x and y must have the same number of rows"),
        (True, (8, 10, 2), "the last layer has 1 outputs; use Dense(2)"),
    ],
)
def test_a_target_of_another_shape_gets_a_sentence_before_anything_is_trained(
    return_sequences, y_shape, advice
):
    model = Sequential([Input((10, 3)), LSTM(4, return_sequences=return_sequences), Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    for method in (model.fit, model.evaluate, model.train_on_batch, model.loss_and_gradients):
        with pytest.raises(ShapeError, match=re.escape(advice)):
            method(np.zeros((8, 10, 3)), np.zeros(y_shape))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_padding_without_a_mask_is_warned_of_once_a_fit(rng, recwarn):
    x = np.zeros((3, 5, 1))
    x[0, 2:], x[1, 3:], x[2] = 1, 2, 3
    plain = Sequential([Input((5, 1)), LSTM(4, return_sequences=True), Dense(1)])
    plain.compile("sgd", "mse")
    with pytest.warns(UserWarning, match=r"make Masking\(mask_value=0.0\) the first layer"):
        plain.fit(x, x, epochs=3)
    masked = Sequential([Input((5, 1)), Masking(), LSTM(4, return_sequences=True), Dense(1)])
    masked.compile("sgd", "mse")
    masked.fit(x, x, epochs=3)
    assert not recwarn


def test_a_missing_label_that_counts_stops_the_fit_and_one_that_does_not_is_ignored(rng):
    x, y = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 5, 1))
    x[1, 3:] = 0
    y[1, 3:] = np.nan
    model = Sequential([Input((5, 2)), Masking(), LSTM(4, return_sequences=True), Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(x, y, epochs=2).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["mae"]).all()
    before = model.get_weights()
    y[2, 1] = np.nan
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"the target y is NaN at row .*sample_weight 0"):
            method(x, y)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_nan_in_the_input_flows_through_to_its_own_row(rng):
    x = rng.normal(size=(3, 5, 2))
    x[1, 2, 0] = np.nan
    model = Sequential([Input((5, 2)), LSTM(4, return_sequences=True), Dense(1)])
    y = model.predict(x)
    assert np.isnan(y[1, 2:]).all()
    assert np.isfinite(np.delete(y, 1, axis=0)).all()


@pytest.mark.parametrize("shape", [(0, 5, 2), (3, 0, 2)])
def test_no_rows_and_no_steps_are_predicted_as_nothing(shape):
    model = Sequential([Input((None, 2)), LSTM(4, return_sequences=True), Dense(1)])
    assert model.predict(np.zeros(shape)).shape == (*shape[:2], 1)
    model.compile("sgd", "mse")
    if shape[0] == 0:
        with pytest.raises(ShapeError, match="fit needs at least one row"):
            model.fit(np.zeros(shape), np.zeros((0, 5, 1)))


def test_predictions_do_not_depend_on_the_batch_size(rng):
    x = rng.normal(size=(7, 5, 2))
    model = Sequential([Input((5, 2)), LSTM(4, return_sequences=True), Dense(3)], name="m")
    whole = model(x)
    for batch_size in (1, 3, 100):
        assert_close(model.predict(x, batch_size=batch_size), whole, ulps=4)
    assert_close(model.predict_on_batch(x), whole, ulps=0)


def test_another_mask_value_masks_as_in_keras(rng):
    def build(lib: Library) -> Any:
        layers = lib.layers
        return lib.models.Sequential(
            [layers.Input((5, 2)), layers.Masking(-1.0), layers.LSTM(4), layers.Dense(1)]
        )

    x = rng.normal(size=(3, 5, 2)).astype("float32")
    x[0, 3:], x[1, :2], x[2, 2] = -1, -1, 0
    theirs, ours = twin_models(build, rng, (None, 5, 2))
    assert_close(ours.predict(x), theirs.predict(x, verbose=0), ulps=12)


def test_a_mask_can_be_given_to_a_call(rng):
    x = rng.normal(size=(2, 5, 2)).astype("float32")
    mask = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]])
    model = Sequential([Input((5, 2)), LSTM(4, return_sequences=True), Dense(3)])
    masked = Sequential([Input((5, 2)), Masking(), *model.layers])
    np.testing.assert_array_equal(model(x, mask=mask), masked(x * mask[..., None]))


# Training beside Keras is in tests/training; here, what is Sequential's own.


def test_gradients_equal_keras(rng):
    import tensorflow as tf

    def build(lib: Library) -> Any:
        layers = lib.layers
        return lib.models.Sequential(
            [
                layers.Input((6, 3)),
                layers.Masking(),
                layers.LSTM(5, return_sequences=True),
                layers.LSTM(4, activation="relu", return_sequences=True),
                layers.Dense(2),
            ]
        )

    x, y = rng.normal(size=(5, 6, 3)), rng.normal(size=(5, 6, 2))
    x[0, 4:], x[3, :2] = 0, 0
    weight = rng.random((5, 6))
    with library_dtype("float64"):
        theirs, ours = twin_models(build, rng, (None, 6, 3))
        for model in (theirs, ours):
            model.compile("sgd", "mse")
        with tf.GradientTape() as tape:
            expected = theirs.compute_loss(x, y, theirs(x, training=True), weight)
        variables = theirs.trainable_variables
        wanted = tape.gradient(expected, [v.value for v in variables])
        loss, gradients = ours.loss_and_gradients(x, y, sample_weight=weight)
    assert loss == pytest.approx(float(expected), rel=1e-14)
    assert list(gradients) == list(ours.named_weights())
    for (name, g), w in zip(gradients.items(), wanted, strict=True):
        assert_close(g, w.numpy(), ulps=20, what=name)


def test_shuffling_repeats_with_the_seed_and_differs_between_epochs(rng):
    x, y = rng.normal(size=(20, 3, 1)), rng.normal(size=(20, 1))

    def train(seed: int, shuffle: bool = True) -> np.ndarray:
        set_seed(seed)
        model = Sequential([Input((3, 1)), LSTM(2), Dense(1)])
        model.set_weights([np.full(w.shape, 0.1) for w in model.get_weights()])
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=2, epochs=2, shuffle=shuffle)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    np.testing.assert_array_equal(train(1), train(1))
    assert np.any(train(1) != train(2))
    np.testing.assert_array_equal(train(1, shuffle=False), train(2, shuffle=False))


def test_every_row_is_seen_once_in_every_epoch(rng, monkeypatch):
    seen: list[np.ndarray] = []
    model = Sequential([Input((1, 1)), LSTM(2), Dense(1)])
    model.compile("sgd", "mse")
    step = model.train_step

    def watched(batch, *rest, **options):
        seen.append(batch.x[:, 0, 0])
        step(batch, *rest, **options)

    monkeypatch.setattr(model, "train_step", watched)
    model.fit(np.arange(7.0).reshape(7, 1, 1), np.zeros((7, 1)), batch_size=3, epochs=2)
    epochs = np.concatenate(seen).reshape(2, 7)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), [np.arange(7)] * 2)
    assert np.any(epochs[0] != epochs[1])


def test_history_and_initial_epoch(rng):
    model = Sequential([Input((3, 1)), LSTM(2), Dense(1)])
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(5, 3, 1)), rng.normal(size=(5, 1))
    history = model.fit(x, y, batch_size=2, epochs=4, initial_epoch=2, verbose=0)
    assert history.epoch == [2, 3]
    assert history.params == {"verbose": 0, "epochs": 4, "steps": 3}
    assert model.history is history
    assert history.model is model
    assert all(isinstance(value, float) for value in history.history["loss"])


def test_fit_writes_keras_lines_when_asked(rng, capsys):
    model = Sequential([Input((3, 1)), LSTM(2), Dense(1)])
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(5, 3, 1)), rng.normal(size=(5, 1))
    model.fit(x, y, epochs=2)
    model.evaluate(x, y)
    model.predict(x)
    assert capsys.readouterr().out == ""
    model.fit(x, y, batch_size=2, epochs=2, verbose=2, validation_split=0.2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0::2] == ["Epoch 1/2", "Epoch 2/2"]
    pattern = r"2/2 - 0s - \d+\w+/step - loss: [\d.e-]+ - val_loss: [\d.e-]+"
    assert all(re.fullmatch(pattern, line) for line in lines[1::2])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m, x, y: m.fit(x, y, shuffle="batch"), "fit(shuffle='batch') is not supported"),
        (
            lambda m, x, y: m.fit(x, y, validation_data=(x,)),
            "fit(validation_data) needs arrays for",
        ),
        (lambda m, x, y: m.fit(x, y, validation_data=(x, y, 1, 2)), "validation_data has 4 parts"),
        (lambda m, x, y: m.fit(x), "fit needs arrays for both the inputs x and the targets y"),
        (lambda m, x, y: m.compile("sgd", "mse", loss_weights=[2]), "compile(loss_weights=[2])"),
    ],
)
def test_what_is_not_there_is_refused_by_name(call, sentence):
    model = Sequential([Input((3, 1)), LSTM(2), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        call(model, np.zeros((2, 3, 1)), np.zeros((2, 1)))


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "loss_and_gradients"])
def test_training_needs_compile(method):
    model = Sequential([Input((3, 1)), LSTM(2), Dense(1)])
    with pytest.raises(
        ValueError, match=f"{method} needs an optimizer and a loss: call model.comp"
    ):
        getattr(model, method)(np.zeros((2, 3, 1)), np.zeros((2, 1)))


def test_a_model_with_nothing_to_train_says_so():
    model = Sequential([Input((3, 1)), LSTM(2), Dense(1)], trainable=False)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="no trainable weights: fit changes none"):
        model.fit(np.zeros((2, 3, 1)), np.zeros((2, 1)))


def test_how_keras_computes_is_taken_without_effect():
    model = Sequential([Input((3, 1)), LSTM(2), Dense(1)])
    how = {"run_eagerly": True, "steps_per_execution": 2, "jit_compile": False}
    model.compile(Adam(), MeanAbsoluteError(), **how)
    assert model.metrics_names == ["loss"]
    x, y = np.ones((2, 3, 1)), np.ones((2, 1))
    assert model.evaluate(x, y) == pytest.approx(np.mean(np.abs(model.predict(x) - y)))


def test_layers_of_two_dtypes_work_together(rng):
    model = Sequential([Input((3, 2)), LSTM(4, return_sequences=True), Dense(1, dtype="float64")])
    model.compile("adam", "mse")
    x, y = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 1))
    assert model.predict(x).dtype == np.float64
    model.fit(x, y)
    assert [w.dtype.name for w in model.weights] == ["float32"] * 3 + ["float64"] * 2


# Files.


@pytest.fixture
def trained(rng) -> Sequential:
    model = Sequential(
        [
            Input((None, 2), name="table"),
            Masking(-1.0),
            LSTM(4, activation="relu", return_sequences=True, go_backwards=True),
            LSTM(3, return_sequences=True, use_bias=False, dtype="float64"),
            Dense(1, "tanh", kernel_initializer="he_normal"),
        ],
        name="saved",
    )
    model.compile(Adam(0.01, name="mine"), "mse", metrics=["mae"], weighted_metrics=["MSE"])
    model.fit(rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 5, 1)))
    model.metadata["columns"] = ["temperature", "°C"]
    return model


def test_a_saved_model_comes_back_whole(trained, tmp_path, rng):
    path = tmp_path / "model.npz"
    trained.save(path)
    again = load_model(path)
    x, y = rng.normal(size=(3, 7, 2)), rng.normal(size=(3, 7, 1))
    np.testing.assert_array_equal(again.predict(x), trained.predict(x))
    assert again.get_config() == trained.get_config()
    assert again.metadata == {"columns": ["temperature", "°C"]}
    assert again.evaluate(x, y, return_dict=True) == trained.evaluate(x, y, return_dict=True)
    assert again.optimizer.get_config() == trained.optimizer.get_config()
    assert (again.input_shape, again.output_shape) == (trained.input_shape, trained.output_shape)
    again.fit(x, y)  # and it goes on learning


def test_an_uncompiled_model_comes_back_uncompiled(tmp_path):
    model = Sequential([LSTM(4), Dense(2)])
    with pytest.raises(ValueError, match="has no weights to save yet"):
        model.save(tmp_path / "model.npz")
    model.build((None, None, 3))
    model.save(str(tmp_path / "model.npz"))
    again = load_model(str(tmp_path / "model.npz"))
    assert again.optimizer is None
    assert again.loss is None
    assert again.input_shape == (None, None, 3)


def test_other_suffixes_are_refused_by_name(trained, tmp_path):
    with pytest.raises(UnsupportedError, match=r"\.npz"):
        trained.save(tmp_path / "model.keras")


def test_a_config_makes_the_same_model_with_new_weights(trained):
    config = json.loads(json.dumps(trained.get_config()))
    again = Sequential.from_config(config)
    assert again.get_config() == trained.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in trained.weights]


def changed(record: ModelRecord, change) -> ModelRecord:
    """The record with its config changed in place of the given path."""
    config = json.loads(json.dumps(record.config))
    weights = dict(record.weights)
    change(config, weights)
    return ModelRecord(config=config, weights=weights, metadata=dict(record.metadata))


def layer_config(config: Any, n: int) -> Any:
    return config["config"]["layers"][n]["config"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c, w: c.pop("class_name"), "does not make sense: KeyError"),
        (lambda c, w: c["config"].pop("layers"), "does not make sense: KeyError"),
        (lambda c, w: c.update(config=3), "does not make sense: TypeError"),
        (lambda c, w: c["config"].update(layers=[3]), '3 describes no layer: {"class_name"'),
        (lambda c, w: layer_config(c, 2).pop("units"), "a LSTM layer cannot have"),
        (lambda c, w: layer_config(c, 2).update(units="many"), "positive whole number"),
        (lambda c, w: layer_config(c, 2).update(units=10**15), "lstm/kernel has shape (2, 16)"),
        (lambda c, w: layer_config(c, 2).update(activation="tahn"), "unknown activation 'tahn'"),
        (lambda c, w: layer_config(c, 2).update(name="other"), "the weight other/kernel has shape"),
        (
            lambda c, w: layer_config(c, 0).update(batch_shape=[None, "x"]),
            "the Input has the shape",
        ),
        (lambda c, w: c.update(build_input_shape=[None, 5, 2]), "the Input has the shape"),
        (lambda c, w: c.update(build_input_shape=None), "does not make sense"),
        (lambda c, w: w.pop("dense/bias"), "the weight dense/bias has shape none"),
        (lambda c, w: w.update(more=np.zeros(3)), "the weight more has shape (3,)"),
        (
            lambda c, w: w.update({"dense/bias": np.zeros(2)}),
            "the weight dense/bias has shape (2,), and the layers of the model need (1,)",
        ),
        (lambda c, w: c["compile"].update(loss_weight=1), "does not make sense: TypeError"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(trained, change, sentence):
    record = changed(trained.to_record(), change)
    with pytest.raises(ModelFormatError, match=re.escape(sentence)):
        Sequential.from_record(record)


def test_a_record_needs_no_input_layer(trained, rng):
    record = changed(trained.to_record(), lambda c, w: c["config"]["layers"].pop(0))
    again = Sequential.from_record(record)
    assert again.input_shape == (None, None, 2)
    x = rng.normal(size=(3, 4, 2))
    np.testing.assert_array_equal(again.predict(x), trained.predict(x))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c, w: c.update(class_name="Functional"), "a Functional model is not supported"),
        (
            lambda c, w: c["config"]["layers"][1].update(class_name="Lambda"),
            "the layer 'Lambda' is not supported: there are InputLayer, Masking, Embedding, LSTM,",
        ),
        (lambda c, w: layer_config(c, 2).update(time_major=True), "LSTM(time_major=True) is not"),
        (lambda c, w: layer_config(c, 2).update(code="import os"), "LSTM(code=...): there is no"),
        (lambda c, w: c["compile"]["optimizer"].update(class_name="Lion"), "'Lion'"),
        (lambda c, w: c["compile"]["loss"].update(class_name="eval"), "'eval'"),
        (lambda c, w: c["compile"].update(metrics=[{"class_name": "exec"}]), "'exec'"),
    ],
)
def test_what_a_file_holds_that_is_not_there_is_refused_by_name(trained, change, sentence):
    record = changed(trained.to_record(), change)
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        Sequential.from_record(record)


def test_every_layer_is_one_that_a_file_may_name():
    public = {
        name
        for name in layers.__all__
        if isinstance(kind := getattr(layers, name), type) and issubclass(kind, Layer)
    }
    assert set(layers.LAYERS) == public - {"Layer"}
