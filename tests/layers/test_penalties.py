"""Regularizers, constraints and frozen layers in training, beside Keras: every number of a fit."""

from typing import Any

import numpy as np
import pytest

import lstm_ref
import lstm_ref.constraints
import lstm_ref.regularizers
from lstm_ref import Sequential
from lstm_ref.layers import LSTM, RNN, Bidirectional, Dense, Input, LSTMCell, TimeDistributed
from tests.keras_peer import (
    OURS,
    Library,
    assert_close,
    keras_library,
    library_dtype,
    twin_models,
)
from tests.layers.whole_models import (
    assert_layer_configs,
    assert_saved_and_loaded,
    train_alike,
)
from tests.peers import require

N, T, D = 10, 5, 3


def keras_or_ours(lib: Library, kind: str, name: str, **arguments: Any) -> Any:
    """A regularizer or constraint as an object of the library's own."""
    if lib.is_keras:
        return getattr(getattr(require("keras"), kind), name)(**arguments)
    return getattr(getattr(lstm_ref, kind), name)(**arguments)


def l1l2(lib: Library) -> Any:
    return keras_or_ours(lib, "regularizers", "L1L2", l1=0.003, l2=0.02)


def sequential(*layers: Any):
    """A builder of a model: its Input and Masking, and what each function makes."""

    def build(lib: Library) -> Any:
        start = [lib.layers.Input((T, D)), lib.layers.Masking(name="gaps")]
        return lib.models.Sequential(start + [make(lib) for make in layers])

    return build


def head(lib: Library) -> Any:
    return lib.layers.Dense(2, name="head")


def frozen(*path: str):
    """Freeze the layer at this path of attributes, behind Masking."""

    def prepare(model: Any) -> None:
        layer = model.layers[1]
        for name in path:
            layer = layer[int(name)] if name.isdigit() else getattr(layer, name)
        layer.trainable = False

    return prepare


WEIGHTS = {"kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2"}
LIMITS = {
    "kernel_constraint": "max_norm",
    "recurrent_constraint": "unit_norm",
    "bias_constraint": "non_neg",
}

MODELS: dict[str, Any] = {
    # name: (the layers, what is done to the model, the optimizer)
    "weights": (
        [
            lambda lib: lib.layers.LSTM(4, return_sequences=True, name="a", **WEIGHTS),
            lambda lib: lib.layers.Dense(
                2, kernel_regularizer=l1l2(lib), bias_regularizer="l2", name="head"
            ),
        ],
        lambda model: None,
        "sgd",
    ),
    "limits": (
        [
            lambda lib: lib.layers.LSTM(4, return_sequences=True, name="a", **LIMITS),
            lambda lib: lib.layers.Dense(
                2,
                kernel_constraint=keras_or_ours(
                    *(lib, "constraints", "MinMaxNorm"), min_value=0.4, max_value=0.5, rate=0.7
                ),
                name="head",
            ),
        ],
        lambda model: None,
        "adam",
    ),
    "activity": (
        [
            lambda lib: lib.layers.LSTM(
                4, return_sequences=True, activity_regularizer=l1l2(lib), name="a"
            ),
            lambda lib: lib.layers.Dropout(0.0, activity_regularizer="l1", name="drop"),
            lambda lib: lib.layers.Dense(2, activity_regularizer="l2", name="head"),
        ],
        lambda model: None,
        "rmsprop",
    ),
    "activity both ways": (
        [
            lambda lib: lib.layers.Bidirectional(
                lib.layers.LSTM(
                    4, return_sequences=True, activity_regularizer="l2", name="in", **WEIGHTS
                ),
                "mul",
                activity_regularizer=l1l2(lib),
                name="both",
            ),
            lambda lib: lib.layers.TimeDistributed(
                lib.layers.Dense(2, kernel_regularizer="l1", name="inside"),
                activity_regularizer="l2",
                name="head",
            ),
        ],
        lambda model: None,
        "sgd",
    ),
    "activity of the last output": (
        [
            lambda lib: lib.layers.Bidirectional(
                lib.layers.LSTM(3, activity_regularizer="l1", name="in"), "ave", name="both"
            ),
            head,
        ],
        lambda model: None,
        "adam",
    ),
    "cells": (
        [
            lambda lib: lib.layers.RNN(
                lib.layers.StackedRNNCells(
                    [
                        lib.layers.LSTMCell(3, name="low", **WEIGHTS),
                        lib.layers.LSTMCell(2, name="high", **LIMITS),
                    ],
                    name="stack",
                ),
                return_sequences=True,
                activity_regularizer="l2",
                name="rnn",
            ),
            head,
        ],
        lambda model: None,
        "rmsprop",
    ),
    "a frozen layer": (
        [
            lambda lib: lib.layers.LSTM(4, return_sequences=True, name="a", **WEIGHTS, **LIMITS),
            lambda lib: lib.layers.LSTM(3, return_sequences=True, name="b", **WEIGHTS),
            head,
        ],
        frozen(),
        "adam",
    ),
    "a frozen dense layer": (
        [
            lambda lib: lib.layers.Dense(4, kernel_regularizer="l2", name="wide"),
            lambda lib: lib.layers.LSTM(3, return_sequences=True, name="a"),
            head,
        ],
        frozen(),
        "rmsprop",
    ),
    "frozen from the start": (
        [
            lambda lib: lib.layers.LSTM(
                *(4,), return_sequences=True, activity_regularizer="l2", trainable=False, name="a"
            ),
            head,
        ],
        lambda model: None,
        "sgd",
    ),
    "one direction frozen": (
        [
            lambda lib: lib.layers.Bidirectional(
                lib.layers.LSTM(
                    3, return_sequences=True, activity_regularizer="l1", name="in", **WEIGHTS
                ),
                name="both",
            ),
            head,
        ],
        frozen("forward_layer"),
        "rmsprop",
    ),
    "both directions frozen": (
        [
            lambda lib: lib.layers.Bidirectional(
                lib.layers.LSTM(3, return_sequences=True, name="in", **WEIGHTS), name="both"
            ),
            head,
        ],
        frozen(),
        "sgd",
    ),
    "one cell frozen": (
        [
            lambda lib: lib.layers.RNN(
                lib.layers.StackedRNNCells(
                    [
                        lib.layers.LSTMCell(3, name="low", **WEIGHTS),
                        lib.layers.LSTMCell(2, name="high", **WEIGHTS),
                    ],
                    name="stack",
                ),
                return_sequences=True,
                name="rnn",
            ),
            head,
        ],
        frozen("cell", "cells", "1"),
        "adam",
    ),
    "the layer inside frozen": (
        [
            lambda lib: lib.layers.TimeDistributed(
                lib.layers.Dense(3, kernel_regularizer="l2", name="inside"), name="each"
            ),
            head,
        ],
        frozen("layer"),
        "sgd",
    ),
}


def data(name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(N, T, D))
    x[1, 3:], x[4, :2], x[6], x[9, 2] = 0, 0, 0, 0
    return x, rng.normal(size=(N, 2) if "last output" in name else (N, T, 2))


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_equals_keras_step_by_step(name, rng, tmp_path):
    layers, prepare, optimizer = MODELS[name]
    x, y = data(name, rng)
    with library_dtype("float64"):
        theirs, ours = train_alike(
            sequential(*layers), optimizer, x, y, rng, prepare=prepare, batch_size=3
        )
        assert_layer_configs(theirs, ours)
        names = list(ours.trainable_params())
        assert [ours.named_weights()[n].shape for n in names] == [
            tuple(w.shape) for w in theirs.trainable_weights
        ]
        for a, b in zip(ours.non_trainable_weights, theirs.non_trainable_weights, strict=True):
            assert_close(a, np.asarray(b.value), ulps=0)
    assert_saved_and_loaded(ours, x, tmp_path)


def test_the_losses_of_a_model_are_keras(rng):
    build = sequential(*MODELS["activity both ways"][0])
    with library_dtype("float64"):
        theirs, ours = twin_models(build, rng, (None, T, D))
        got, expected = sorted(ours.losses), sorted(float(v) for v in theirs.losses)
        assert_close(np.array(got), np.array(expected), ulps=4)
        theirs.layers[1].forward_layer.trainable = False
        ours.layers[1].forward_layer.trainable = False
        assert len(ours.losses) == len(theirs.losses) == len(got) - 3


@pytest.mark.parametrize("name", ["activity", "activity both ways", "cells"])
def test_gradients_of_penalties_are_those_of_a_tape(name, rng):
    tf = require("tensorflow")
    x, y = data(name, rng)
    with library_dtype("float64"):
        theirs, ours = twin_models(sequential(*MODELS[name][0]), rng, (None, T, D))
        for model in (theirs, ours):
            model.compile("sgd", "mse")
        loss, gradients = ours.loss_and_gradients(x, y)
        with tf.GradientTape() as tape:
            prediction = theirs(tf.constant(x), training=True)
            real = tf.cast(prediction._keras_mask, "float64")
            errors = tf.reduce_mean(tf.square(prediction - y), axis=-1)
            wanted_loss = tf.reduce_sum(real * errors) / tf.reduce_sum(real) + sum(theirs.losses)
        wanted = tape.gradient(wanted_loss, [w.value for w in theirs.trainable_weights])
    assert_close(np.float64(loss), wanted_loss.numpy(), ulps=8)
    scale = max(float(np.abs(w).max()) for w in wanted)
    for (whole, a), b in zip(gradients.items(), wanted, strict=True):
        assert_close(a, b.numpy(), ulps=40, scale=scale, what=whole)


# Where Keras does not do what it says.


def test_a_layer_that_is_made_frozen_freezes_what_is_in_it(rng):
    """Keras trains the layers inside ``Bidirectional(..., trainable=False)`` all the same."""
    layers = [
        lambda: Bidirectional(LSTM(3, kernel_regularizer="l2"), trainable=False),
        lambda: RNN([LSTMCell(3, kernel_regularizer="l2")], trainable=False),
        lambda: TimeDistributed(Dense(3, kernel_regularizer="l2"), trainable=False),
    ]
    x = rng.normal(size=(4, T, D)).astype("float32")
    for make in layers:
        model = Sequential([Input((T, D)), make(), Dense(1)])
        model.compile("sgd", "mse")
        before = model.get_weights()
        model.fit(x, np.zeros((4, *model.output_shape[1:])), verbose=0)
        same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
        assert same == [True] * (len(same) - 2) + [False] * 2
        assert not model.layers[0].trainable_weights
        assert model.losses == []
        assert type(model.layers[0]).from_config(model.layers[0].get_config()).trainable is False


def test_setting_trainable_sets_it_for_what_is_inside():
    """As in the code of Keras. (On TensorFlow, setting the value it has already does nothing.)"""
    for lib in (keras_library(), OURS):
        both = lib.layers.Bidirectional(lib.layers.LSTM(3))
        both.build((None, T, D))
        both.forward_layer.trainable = False
        both.trainable = False
        both.trainable = True
        assert both.forward_layer.trainable
        assert len(both.trainable_weights) == 6
    model = Sequential([Input((T, D)), Bidirectional(LSTM(3)), Dense(1)])
    model.layers[0].backward_layer.trainable = False
    assert len(model.trainable_weights) == 5
    model.trainable = True
    assert len(model.trainable_weights) == 8
