"""The way back through all layers: as far as weights are trained, and no further."""

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.layers import (
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    Embedding,
    Input,
    LSTMCell,
    Masking,
    rnn,
)
from tests.cases import BACKENDS, computing

CELLS = {"masked": [1], "two": [1, 1], "both": [2], "stacked": [2], "words": [1], "head": [0, 1]}
"""Of each model below, how many LSTMs its layers run, from the lowest on."""


def build(kind):
    sequences = {"return_sequences": True}
    layers = {
        "masked": lambda: [Masking(), LSTM(3, **sequences)],
        "two": lambda: [LSTM(3, **sequences), LSTM(2, **sequences)],
        "both": lambda: [Bidirectional(LSTM(3, **sequences))],
        "stacked": lambda: [RNN([LSTMCell(3), LSTMCell(2)], **sequences)],
        "words": lambda: [Embedding(5, 2), LSTM(3, **sequences)],
        "head": lambda: [Dense(4, activation="tanh"), LSTM(3, **sequences)],
    }[kind]()
    first = Input((4,)) if kind == "words" else Input((4, 2))
    model = lr.Sequential([first, *layers, Dense(2, kernel_regularizer="l2")])
    model.compile("sgd", "mse")
    return model


def passed(model, rng):
    x = rng.normal(size=(3, 4, 2)) if len(model.input_shape) == 3 else rng.integers(0, 5, (3, 4))
    batch = model.batch("test", x, rng.normal(size=(3, 4, 2)))
    forward = model.run(batch.x, training=True, keep_cache=True)
    return rng.normal(size=forward.y.shape), forward.kept


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("frozen", [0, 1, 9])
@pytest.mark.parametrize("kind", CELLS)
def test_the_gradients_on_weights_are_those_of_the_whole_way(kind, frozen, backend, rng):
    with computing(backend):
        model = build(kind)
        for layer in model.layers[:frozen]:
            layer.trainable = False
        d_y, kept = passed(model, rng)
        whole = {
            f"{back.layer.name}/{name}": gradient
            for back in model.backward_pass(d_y, kept)
            for name, gradient in back.weights.items()
        }
        expected = model.with_penalties(whole)
        found = model.backpropagate(d_y, kept)
        assert list(found) == list(expected) == list(model.trainable_params())
        for name, gradient in expected.items():
            np.testing.assert_array_equal(found[name], gradient, err_msg=name)


@pytest.mark.parametrize("frozen", [0, 1])
@pytest.mark.parametrize("kind", CELLS)
def test_no_gradient_is_computed_that_nobody_looks_at(kind, frozen, rng, monkeypatch):
    """Of the lowest LSTM that learns not that on x, unless a layer below it learns."""
    asked = []

    def watched(*arguments):
        asked.append(arguments[4])
        return lr.lstm_backward(*arguments)

    model = build(kind)
    for layer in model.layers[:frozen]:
        layer.trainable = False
    d_y, kept = passed(model, rng)
    monkeypatch.setattr(rnn, "lstm_backward", watched)
    model.backpropagate(d_y, kept)
    lowest_learns = kind in ("words", "head") and not frozen
    per_direction = {"both": [False, False], "stacked": [True, False], "two": [True, False]}
    expected = per_direction.get(kind, [lowest_learns])
    if frozen and kind in ("two", "both", "stacked"):
        expected = [False] if kind == "two" else []  # the frozen layers are not gone through
    assert asked == expected

    asked.clear()
    for _ in model.backward_pass(d_y, kept):  # the whole way leaves nothing out
        pass
    assert asked == [True] * sum(CELLS[kind])


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_caller_does_with_a_state_afterwards_does_not_reach_the_gradients(rng, backend):
    layer = LSTM(3, return_sequences=True, dtype="float64")
    x, d_y = rng.normal(size=(2, 4, 2)), rng.normal(size=(2, 4, 3))
    layer.build(x.shape)
    found = []
    for spoils in (False, True):
        states = np.random.default_rng(1).normal(size=(2, 2, 3))
        h0, c0 = states[0].copy(), states[1].copy()
        with computing(backend):
            _, _, cache = layer.forward_from(x, layer.state_from([h0, c0]), keep_cache=True)
        if spoils:
            h0[:], c0[:] = 7, 7
        _, _, gradients = layer.backward_to(d_y, None, cache)
        found.append(gradients)
    for name, gradient in found[0].items():
        np.testing.assert_array_equal(found[1][name], gradient, err_msg=name)
