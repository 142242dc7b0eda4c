"""Where Keras reads the logits behind a last softmax or sigmoid: whole models, in both libraries.

The weights are so large that probabilities round to 0 and 1. Who reads those sees no more than the
bounds of Keras' clip, and who reads the logits has losses in the hundreds.
"""

import numpy as np
import pytest

import lstm_ref as lr
from tests.keras_peer import keras_library, library_dtype, twin_models

N, T, D, K = 5, 4, 2, 3
SHARP = 500.0

HEADS = {
    "Dense": lambda lib, act: [lib.layers.Dense(K, activation=act)],
    "Activation": lambda lib, act: [lib.layers.Dense(K), lib.layers.Activation(act)],
    "Softmax": lambda lib, _: [lib.layers.Dense(K), lib.layers.Softmax()],
    "penalized": lambda lib, act: [lib.layers.Dense(K, activation=act, activity_regularizer="l2")],
    "TimeDistributed": lambda lib, act: [
        lib.layers.TimeDistributed(lib.layers.Dense(K, activation=act))
    ],
    "TimeDistributed Activation": lambda lib, act: [
        lib.layers.Dense(K),
        lib.layers.TimeDistributed(lib.layers.Activation(act)),
    ],
}

LOSSES = {
    "sparse": ("softmax", "SparseCategoricalCrossentropy", {}),
    "sparse, ignoring": ("softmax", "SparseCategoricalCrossentropy", {"ignore_class": 1}),
    "columns": ("softmax", "CategoricalCrossentropy", {}),
    "columns, smoothed": ("softmax", "CategoricalCrossentropy", {"label_smoothing": 0.1}),
    "binary": ("sigmoid", "BinaryCrossentropy", {}),
    "binary, smoothed": ("sigmoid", "BinaryCrossentropy", {"label_smoothing": 0.1}),
}


def reads_logits(head, loss):
    return not head.startswith("TimeDistributed") and loss != "sparse, ignoring"


def data(loss, rng):
    x = rng.normal(size=(N, T, D))
    labels = rng.integers(0, K, (N, T))
    if loss.startswith("binary"):
        return x, rng.integers(0, 2, (N, T, K)).astype(float)
    return x, np.eye(K)[labels] if loss.startswith("columns") else labels


def twins(head, activation, rng):
    """Both models, with large weights in the head."""

    def build(lib):
        layers = [lib.layers.Input((T, D)), lib.layers.LSTM(4, return_sequences=True)]
        return lib.models.Sequential([*layers, *HEADS[head](lib, activation)])

    models = twin_models(build, rng, (None, T, D))
    for model in models:
        weights = model.get_weights()
        model.set_weights([*weights[:3], *(SHARP * w for w in weights[3:])])
    return models


CASES = [
    (head, loss)
    for loss, (activation, *_) in LOSSES.items()
    for head in HEADS
    if head != "Softmax" or activation == "softmax"
]


@pytest.mark.parametrize(("head", "loss"), CASES)
def test_losses_and_steps_equal_keras(head, loss, rng):
    activation, kind, options = LOSSES[loss]
    compiled = (head, loss) in (("Dense", "sparse"), ("TimeDistributed", "binary"))
    with library_dtype("float64"):
        theirs, ours = twins(head, activation, rng)
        x, y = data(loss, rng)
        theirs.compile(
            keras_library().optimizers.SGD(1e-3),
            getattr(keras_library().losses, kind)(**options),
            run_eagerly=not compiled,
        )
        ours.compile(lr.optimizers.SGD(1e-3), getattr(lr.losses, kind)(**options))
        got = ours.evaluate(x, y, verbose=0)
        # Near 1, a sigmoid has few digits of 1 - p left, and TensorFlow's differ in the last.
        rel = 1e-12 if reads_logits(head, loss) else 1e-8
        assert got == pytest.approx(theirs.evaluate(x, y, verbose=0), rel=rel)
        by_probabilities = getattr(lr.losses, kind)(**options)(y, ours.predict(x, verbose=0))
        penalty = 0 if head != "penalized" else got - by_probabilities
        if reads_logits(head, loss):
            assert got > 1.5 * by_probabilities
        else:
            assert got == pytest.approx(by_probabilities + penalty, rel=1e-12)
        for model in (theirs, ours):
            model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
        for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(mine, other, rtol=0, atol=rel * np.abs(other).max())


@pytest.mark.parametrize("loss", ["sparse", "columns", "binary"])
def test_from_logits_behind_the_activation_reads_what_goes_into_it(loss, rng):
    """As in Keras, which warns."""
    activation, kind, _ = LOSSES[loss]
    with library_dtype("float64"):
        theirs, ours = twins("Dense", activation, rng)
        x, y = data(loss, rng)
        loss_of_keras = getattr(keras_library().losses, kind)(from_logits=True)
        theirs.compile("sgd", loss_of_keras, run_eagerly=True)
        with pytest.warns(UserWarning, match="received `from_logits=True`"):
            expected = theirs.evaluate(x, y, verbose=0)
        ours.compile("sgd", getattr(lr.losses, kind)(from_logits=True))
        assert ours.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-12)
