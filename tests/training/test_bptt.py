"""Gradients of long sequences in pieces: against the whole, against the core by hand, and Keras."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref import Sequential
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers import (
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Input,
    LSTMCell,
    Masking,
    RepeatVector,
    Softmax,
    TimeDistributed,
)
from lstm_ref.regularizers import L1L2, OrthogonalRegularizer
from lstm_ref.training.bptt import Learned, RecomputedBPTT, TruncatedBPTT, get, serialize
from tests.cases import BACKENDS, MASKS, computing
from tests.keras_peer import assert_close, library_dtype, random_weights, twin_models
from tests.layers.test_states_in_and_out import KINDS, steps_mask
from tests.peers import require

B, T, D, K = 4, 7, 3, 2
STEPS = (1, 2, 3, T - 1, T, T + 5)
ULPS = 60
"""For gradients, of the largest one: the same sums in another order; measured: at most 8."""

Build = Callable[[], list[Any]]


@pytest.fixture(autouse=True)
def _float64():
    with library_dtype("float64"):
        yield


# Models and data.


def layered(**of_lower: Any) -> list[Any]:
    return [
        *(Input((None, D)), Masking(), LSTM(5, return_sequences=True, **of_lower)),
        *(LSTM(4, return_sequences=True), Dense(K, "tanh")),
    ]


def cells(return_sequences: bool, **run: Any) -> list[Any]:
    stack = [LSTMCell(4, dropout=0.3, seed=1), LSTMCell(3, recurrent_dropout=0.4, seed=2)]
    return [Input((None, D)), Masking(), RNN(stack, return_sequences, **run), Dense(K)]


def penalized() -> list[Any]:
    """Penalties on every kind of output, inside sequences and at their end, and on weights."""
    penalty = {"activity_regularizer": L1L2(0.02, 0.03)}
    lower = LSTM(
        4, return_sequences=True, kernel_regularizer="l2", bias_regularizer="l1", **penalty
    )
    head = TimeDistributed(Dense(3, "sigmoid"), **penalty)
    return [
        *(Input((None, D)), Masking(), lower, head, LSTM(4, **penalty)),
        Dense(K, kernel_regularizer=L1L2(0.01, 0.02), **penalty),
    ]


def dropping() -> list[Any]:
    return [
        *(Input((None, D)), Dropout(0.3, seed=1), Masking()),
        LSTM(5, return_sequences=True, dropout=0.4, recurrent_dropout=0.3, seed=2),
        *(Dropout(0.3, noise_shape=(None, 1, None), seed=3), Dropout(0.2, seed=4)),
        *(LSTM(4, return_sequences=True), Dense(K)),
    ]


def many_to_many(return_sequences: bool) -> Build:
    return lambda: [
        *(Input((None, D)), Masking(), LSTM(5, return_sequences=True, zero_output_for_mask=True)),
        *(LSTM(4, return_sequences=return_sequences), Dense(K)),
    ]


MODELS: dict[str, Build] = {
    "two layers": layered,
    "zeros at masked steps": many_to_many(True),
    "last output": many_to_many(False),
    "cells": lambda: cells(True),
    "cells, last output": lambda: cells(False),
    "cells, last output, zeros": lambda: cells(False, zero_output_for_mask=True),
    "penalties": penalized,
    "encoder and decoder": lambda: [
        *(Input((None, D)), Masking(), LSTM(4), RepeatVector(3)),
        *(Bidirectional(LSTM(3, return_sequences=True)), Dense(K, "softmax")),
    ],
    "no memory": lambda: [
        *(Input((None, D)), Masking(), Dense(4), Activation("tanh"), Dense(K), Softmax()),
    ],
}


def built(layers: list[Any], rng: np.random.Generator) -> Sequential:
    """A model with random weights that differ everywhere."""
    model = Sequential(layers)
    model.set_weights(random_weights([w.shape for w in model.weights], rng))
    return model


def data(
    model: Sequential, kind: str, rng: np.random.Generator, weighted: bool = False, steps: int = T
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """x, padded in this way with zeros, y, and weights for what is judged."""
    x = rng.normal(size=(B, steps, D))
    if (m := steps_mask(kind, B, steps, rng)) is not None:
        x[~m] = 0
    shape = model.compute_output_shape(x.shape)
    y = rng.dirichlet(np.ones(K), size=shape[:-1])
    weight = rng.uniform(0.2, 3, size=shape[:-1]) if weighted else None
    return x, y, weight


def learn(model: Sequential, arrays: Any, strategy: Any, loss: Any = "mse") -> Learned:
    """What one step of training learns; dropout begins from its seeds."""
    model.compile("sgd", loss)
    model.restart_dropout()
    model.reset_states()
    batch = model.batch("fit", *arrays)
    if strategy is None:
        return model.learn(batch, model.loss)
    return strategy.learn(model, batch, model.loss)


def assert_same(got: Learned, expected: Learned, ulps: float = ULPS) -> None:
    """The same loss, gradients and mask, and the very same predictions."""
    assert_close(np.float64(got.value), np.float64(expected.value), ulps=16, what="loss")
    assert (got.mask is None) is (expected.mask is None)
    if got.mask is not None:
        np.testing.assert_array_equal(got.mask, expected.mask)
    assert list(got.gradients) == list(expected.gradients)
    scale = max(float(np.max(np.abs(g))) for g in expected.gradients.values())
    for name, gradient in got.gradients.items():
        assert_close(gradient, expected.gradients[name], ulps=ulps, scale=scale, what=name)


# The whole gradient, recomputed.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_recomputed_is_the_whole_gradient(name, kind, rng):
    model = built(MODELS[name](), rng)
    arrays = data(model, kind, rng, weighted=True)
    expected = learn(model, arrays, None)
    after = model.dropout_state()
    for steps in STEPS:
        got = learn(model, arrays, RecomputedBPTT(steps))
        assert_same(got, expected)
        np.testing.assert_array_equal(got.y, expected.y)
        assert model.dropout_state() == after


@pytest.mark.parametrize("name", ["two layers", "cells, last output", "encoder and decoder"])
def test_predictions_by_numpy_have_the_same_digits_too(name, rng):
    model = built(MODELS[name](), rng)
    arrays = data(model, "scattered", rng)
    with computing("numpy"):
        expected = learn(model, arrays, None)
        for steps in STEPS:
            got = learn(model, arrays, RecomputedBPTT(steps))
            assert_same(got, expected)
            assert_close(got.y, expected.y, ulps=8)


@pytest.mark.parametrize("strategy", [RecomputedBPTT, TruncatedBPTT])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_one_piece_is_the_whole_to_the_bit(name, dtype, strategy, rng):
    with library_dtype(dtype):
        model = built(MODELS[name](), rng)
        arrays = data(model, "scattered", rng, weighted=True)
        expected = learn(model, arrays, None)
        for steps in (T, T + 5):
            got = learn(model, arrays, strategy(steps))
            assert got.value == expected.value
            np.testing.assert_array_equal(got.y, expected.y)
            for gradient, wanted in zip(
                got.gradients.values(), expected.gradients.values(), strict=True
            ):
                np.testing.assert_array_equal(gradient, wanted)
                assert gradient.dtype == wanted.dtype == dtype


@pytest.mark.parametrize("strategy", [RecomputedBPTT, TruncatedBPTT])
def test_dropout_layers_drop_of_one_piece_what_they_drop_of_the_whole(strategy, rng):
    model = built(dropping(), rng)
    arrays = data(model, "none", rng)
    expected = learn(model, arrays, None)
    after = model.dropout_state()
    got = learn(model, arrays, strategy(T))
    assert got.value == expected.value
    np.testing.assert_array_equal(got.y, expected.y)
    assert model.dropout_state() == after


@pytest.mark.parametrize("steps", STEPS)
def test_what_is_recomputed_drops_the_same_again(steps, rng):
    """Dropout layers draw for each piece: the gradient is that of the loss, by differences."""
    model = built(dropping(), rng)
    arrays = data(model, "none", rng)
    strategy = RecomputedBPTT(steps)
    learned = learn(model, arrays, strategy)
    weights = model.trainable_params()
    directions = {name: rng.normal(size=w.shape) for name, w in weights.items()}

    def loss(step: float) -> float:
        model.assign_params({n: w + step * directions[n] for n, w in weights.items()})
        return learn(model, arrays, strategy).value

    h = 1e-3
    coarse, fine = ((loss(s) - loss(-s)) / (2 * s) for s in (h, h / 2))
    expected = (4 * fine - coarse) / 3  # Richardson: the error is of order h⁴
    slope = sum(np.sum(learned.gradients[n] * directions[n]) for n in weights)
    assert abs(slope - expected) <= 1e-9 * abs(expected)
    model.assign_params(weights)
    learn(model, arrays, strategy)
    after = model.dropout_state()  # the next batch drops what follows one pass forward
    model.restart_dropout()
    states = None
    for start in range(0, T, steps):
        piece = arrays[0][:, start : start + steps]
        states = model.run_piece(piece, states, training=True, keep_cache=False).states
    assert model.dropout_state() == after


# Truncated, beside the same thing by hand and in Keras.


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("per_step", [True, False])
@pytest.mark.parametrize("zero", [True, False])
def test_truncated_is_what_the_core_gives_piece_by_piece(zero, per_step, kind, backend, rng):
    """Masking, two LSTMs and a head, through `lstm_forward` and `lstm_backward` alone."""
    upper = LSTM(3, return_sequences=per_step, zero_output_for_mask=zero)
    lower = LSTM(4, return_sequences=True, zero_output_for_mask=zero)
    model = built([Input((None, D)), Masking(), lower, upper, Dense(K)], rng)
    x, y, weight = arrays = data(model, kind, rng, weighted=True)
    m = np.any(x != 0, axis=-1)
    weights = {name: np.array(w) for name, w in model.trainable_params().items()}
    params = [lr.LSTMParams(*(np.array(w) for w in layer.weights)) for layer in (lower, upper)]
    W, b = (np.array(w) for w in model.layers[-1].weights)
    config = lr.LSTMConfig(masked_output="zero" if zero else "hold")

    def whole(v: np.ndarray, n: int) -> np.ndarray:
        return lr.lstm_forward(v, params[n], config, m, backend=backend).hs

    below = whole(x, 0)
    hs = whole(below, 1)
    out = hs @ W + b
    if per_step:
        d_out = 2 * (out - y) / K * (weight * m)[..., None] / max(1, m.sum())
        value = np.sum(weight * m * np.mean((out - y) ** 2, axis=-1)) / max(1, m.sum())
    else:
        d_last = 2 * (out[:, -1] - y) / K * weight[:, None] / B
        value = np.sum(weight * np.mean((out[:, -1] - y) ** 2, axis=-1)) / B
    for steps in STEPS:
        sums = {name: np.zeros_like(w) for name, w in weights.items()}
        states = [(None, None)] * 2
        for start in range(0, T, steps):
            piece = slice(start, start + steps)
            d = np.zeros((B, len(range(T)[piece]), K))
            if per_step:
                d[:] = d_out[:, piece]
            elif start + steps >= T:
                d[:, -1] = d_last
            outs = []
            for n, v in enumerate((x, below)):
                h0, c0 = states[n]
                made = lr.lstm_forward(
                    *(v[:, piece], params[n], config, m[:, piece], h0, c0, True, backend)
                )
                states[n] = made.h, made.c
                outs.append(made)
            sums[f"{model.layers[-1].name}/kernel"] += np.einsum("bth,btk->hk", hs[:, piece], d)
            sums[f"{model.layers[-1].name}/bias"] += d.sum(axis=(0, 1))
            d_v = d @ W.T
            for layer, made in zip((upper, lower), reversed(outs), strict=True):
                found = lr.lstm_backward(d_v, None, None, made.cache)
                sums[f"{layer.name}/kernel"] += found.d_kernel
                sums[f"{layer.name}/recurrent_kernel"] += found.d_recurrent_kernel
                sums[f"{layer.name}/bias"] += found.d_bias
                d_v = found.d_x
        expected = Learned(value, out, m if per_step else None, sums, states)
        with computing(backend):
            got = learn(model, arrays, TruncatedBPTT(steps))
        assert_same(got, expected)
        assert_close(got.y, out if per_step else out[:, -1], ulps=16)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("per_step", [True, False])
@pytest.mark.parametrize("steps", [1, 3, T])
def test_truncated_is_keras_with_stopped_gradients(steps, per_step, kind, rng):
    tf = require("tensorflow")

    def build(lib: Any) -> Any:
        return lib.models.Sequential(
            [
                *(lib.layers.Input((T, D)), lib.layers.Masking()),
                lib.layers.LSTM(4, return_sequences=True, return_state=False, name="lower"),
                lib.layers.LSTM(3, return_sequences=per_step, name="upper"),
                lib.layers.Dense(K, "tanh", name="head"),
            ]
        )

    theirs, ours = twin_models(build, rng, (None, T, D))
    x, y, weight = arrays = data(ours, kind, rng, weighted=True)
    m = np.any(x != 0, axis=-1)
    lower, upper, head = theirs.layers[-3:]
    lower.return_state = upper.return_state = upper.return_sequences = True

    states: list[Any] = [None, None]
    held: list[Any] = [np.zeros((B, 4)), np.zeros((B, 3))]
    outs = []
    with tf.GradientTape() as tape:
        for start in range(0, T, steps):
            piece = slice(start, start + steps)
            of_piece = m[:, piece]
            waiting = ~np.logical_or.accumulate(of_piece, axis=1)[..., None]
            v = tf.constant(x[:, piece])
            for n, layer in enumerate((lower, upper)):
                v, *after = layer(v, initial_state=states[n], mask=of_piece)
                v = tf.where(waiting, held[n][:, None], v)
                states[n] = [tf.stop_gradient(s) for s in after]
                held[n] = tf.stop_gradient(v[:, -1])
            outs.append(head(v))
        out = tf.concat(outs, axis=1) if per_step else outs[-1][:, -1]
        e = tf.reduce_mean((out - y) ** 2, axis=-1) * weight
        counted = max(1, m.sum()) if per_step else B
        value = tf.reduce_sum(e * m if per_step else e) / counted
    wanted = tape.gradient(value, [w.value for w in theirs.weights])
    gradients = dict(zip(ours.trainable_params(), map(np.asarray, wanted), strict=True))
    got = learn(ours, arrays, TruncatedBPTT(steps))
    expected = Learned(float(value), np.asarray(out), m if per_step else None, gradients, states)
    assert_same(got, expected)
    assert_close(got.y, expected.y, ulps=16)


@pytest.mark.parametrize("kind", ["none", "scattered", "nothing real"])
@pytest.mark.parametrize("name", MODELS)
def test_truncated_changes_neither_loss_nor_predictions(name, kind, rng):
    model = built(MODELS[name](), rng)
    arrays = data(model, kind, rng, weighted=True)
    expected = learn(model, arrays, None)
    after = model.dropout_state()
    different = False
    for steps in STEPS:
        got = learn(model, arrays, TruncatedBPTT(steps))
        assert_same(got._replace(gradients=expected.gradients), expected)
        np.testing.assert_array_equal(got.y, expected.y)
        assert model.dropout_state() == after
        pairs = zip(got.gradients.values(), expected.gradients.values(), strict=True)
        different |= any(np.any(np.abs(a - b) > 1e-6) for a, b in pairs)
    assert different or name == "no memory"


# Other losses, inputs and layers.


CLASSES: dict[str, tuple[Build, Any]] = {
    "softmax, labels": (lambda: [Dense(3), Softmax()], "sparse_categorical_crossentropy"),
    "softmax": (
        lambda: [Dense(3, "softmax", activity_regularizer="l2")],
        "categorical_crossentropy",
    ),
    "sigmoid": (lambda: [Dense(3, "sigmoid")], "binary_crossentropy"),
    "logits": (lambda: [Dense(3)], lr.losses.SparseCategoricalCrossentropy(from_logits=True)),
    "sum": (lambda: [Dense(3)], lr.losses.Huber(reduction="sum")),
}


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("name", CLASSES)
def test_classes_at_every_step(name, weighted, rng):
    head, loss = CLASSES[name]
    model = built([Input((None, D)), Masking(), LSTM(4, return_sequences=True), *head()], rng)
    *others, kernel, bias = model.get_weights()
    model.set_weights([*others, 50 * kernel, bias])  # so that log(softmax) is no log of the softmax
    x, _, weight = data(model, "scattered", rng, weighted)
    labels = rng.integers(0, 3, (B, T))
    sparse = "labels" in name or name == "logits"
    y = labels if sparse else np.eye(3)[labels]
    expected = learn(model, (x, y, weight), None, loss)
    for steps in STEPS:
        got = learn(model, (x, y, weight), RecomputedBPTT(steps), loss)
        assert_same(got, expected)
        np.testing.assert_array_equal(got.y, expected.y)
        got = learn(model, (x, y, weight), TruncatedBPTT(steps), loss)
        assert_same(got._replace(gradients=expected.gradients), expected)


@pytest.mark.parametrize("mask_zero", [True, False])
def test_whole_numbers(mask_zero, rng):
    embedding = Embedding(6, 3, mask_zero=mask_zero, embeddings_regularizer="l2")
    layers = [Input((None,)), embedding, LSTM(4, return_sequences=True), Dense(K)]
    model = built(layers, rng)
    x = rng.integers(0, 6, (B, T))
    y = rng.normal(size=(B, T, K))
    expected = learn(model, (x, y), None)
    for steps in STEPS:
        assert_same(learn(model, (x, y), RecomputedBPTT(steps)), expected)
        got = learn(model, (x, y), TruncatedBPTT(steps))
        assert_same(got._replace(gradients=expected.gradients), expected)


def test_sequences_of_sequences(rng):
    """A mask with a further axis, [B,T,S], which ends where the inner sequences end."""
    words = TimeDistributed(LSTM(3))
    layers = [Input((None, 5)), Embedding(6, 3, mask_zero=True), words]
    model = built([*layers, LSTM(4, return_sequences=True), Dense(K)], rng)
    x = rng.integers(0, 6, (B, T, 5))
    x[0, 2:], x[1, :, 3:] = 0, 0
    y = rng.normal(size=(B, T, K))
    expected = learn(model, (x, y), None)
    assert not expected.mask.all()
    for steps in STEPS:
        assert_same(learn(model, (x, y), RecomputedBPTT(steps)), expected)
        got = learn(model, (x, y), TruncatedBPTT(steps))
        assert_same(got._replace(gradients=expected.gradients), expected)


@pytest.mark.parametrize("strategy", [RecomputedBPTT(3), TruncatedBPTT(3)], ids=str)
def test_stateful_layers_go_on_from_the_state_they_kept(strategy, rng):
    def stateful() -> list[Any]:
        lower = LSTM(4, return_sequences=True, stateful=True, name="lower")
        upper = LSTM(3, return_sequences=True, stateful=True, name="upper")
        return [Input(batch_shape=(B, None, D)), Masking(), lower, upper, Dense(K)]

    model = built(stateful(), rng)
    arrays = data(model, "scattered", rng)
    model.keep_states(learn(model, arrays, None).states)
    before = model.layer_states()
    assert list(before) == ["lower/h", "lower/c", "upper/h", "upper/c"]
    batch = model.batch("fit", *data(model, "left", rng))
    expected = model.learn(batch, model.loss)
    got = strategy.learn(model, batch, model.loss)
    assert_same_states(model.layer_states(), before)  # until the step is taken
    model.keep_states(expected.states)
    after = model.layer_states()
    assert any(np.any(before[name] != after[name]) for name in before)
    model.keep_states(got.states)
    assert_same_states(model.layer_states(), after)
    np.testing.assert_array_equal(got.y, expected.y)
    if isinstance(strategy, TruncatedBPTT):
        got = got._replace(gradients=expected.gradients)
    assert_same(got, expected)


def assert_same_states(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """The very same numbers."""
    assert list(got) == list(expected)
    for name, state in got.items():
        np.testing.assert_array_equal(state, expected[name])


def test_frozen_layers_pass_gradients_on(rng):
    model = built(layered(), rng)
    model.layers[2].trainable = False
    arrays = data(model, "right", rng)
    assert_same(learn(model, arrays, RecomputedBPTT(2)), learn(model, arrays, None))


@pytest.mark.parametrize(("rows", "steps"), [(1, 1), (1, 4), (3, 0)])
def test_the_smallest_batches(rows, steps, rng):
    model = built(layered(), rng)
    x, y = rng.normal(size=(rows, steps, D)), rng.normal(size=(rows, steps, K))
    for strategy in (RecomputedBPTT(1), TruncatedBPTT(1)):
        got, expected = learn(model, (x, y), strategy), learn(model, (x, y), None)
        if isinstance(strategy, TruncatedBPTT):
            got = got._replace(gradients=expected.gradients)
        assert_same(got, expected)
        assert got.y.shape == (rows, steps, K)


@pytest.mark.parametrize("way", ["recomputed", "truncated"])
def test_a_whole_fit(way, rng):
    """Recomputed, it is the training without a strategy; truncated in one piece, to the bit."""
    x, y = rng.normal(size=(10, T, D)), rng.normal(size=(10, T, K))
    x[2, 3:], x[5, :4] = 0, 0
    model = built(layered(dropout=0.2, seed=5), rng)
    weights = model.get_weights()
    runs = []
    for strategy in (None, RecomputedBPTT(3) if way == "recomputed" else TruncatedBPTT(T)):
        model.set_weights(weights)
        model.restart_dropout()
        model.compile("adam", "mse", metrics=["mae"], bptt=strategy)
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        runs.append((history.history, model.get_weights()))
    (expected, wanted), (got, trained) = runs
    ulps = 200 if way == "recomputed" else 0  # Adam divides gradients by their own size
    for name in expected:
        assert_close(np.array(got[name]), np.array(expected[name]), ulps=ulps, what=name)
    for a, b in zip(trained, wanted, strict=True):
        assert_close(a, b, ulps=ulps)


# Memory.


@contextmanager
def traced() -> Iterator[list[int]]:
    """A list which then has the most bytes that were allocated at once."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def extra_memory(strategy: Any, steps: int, masked: bool = False) -> int:
    """The most that learning takes beside its batch and what it gives, predictions and mask."""
    rng = np.random.default_rng(1)
    rows, width = 4, 2
    mask = [Masking()] if masked else []
    layers = [Input((None, width)), *mask, LSTM(24, return_sequences=True), Dense(1)]
    model = built(layers, rng)
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(rows, steps, width)), rng.normal(size=(rows, steps, 1))
    batch = model.batch("fit", x, y)
    learn_from = strategy.learn if strategy else lambda m, *rest: m.learn(*rest)
    with computing("numpy"), traced() as peak:  # the kernels use memory again that was used before
        learned = learn_from(model, batch, model.loss)
    return peak[0] - learned.y.nbytes - (learned.mask.nbytes if masked else 0)


@pytest.mark.parametrize("masked", [False, True])
def test_memory_does_not_grow_with_the_sequences(masked):
    short = extra_memory(TruncatedBPTT(25), 500, masked)
    assert extra_memory(TruncatedBPTT(25), 5000, masked) < 1.01 * short
    assert extra_memory(None, 5000, masked) > 50 * short


def test_recomputed_keeps_a_state_for_each_piece():
    short, long = (extra_memory(RecomputedBPTT(25), steps) for steps in (500, 5000))
    states = 180 * (3 * 4 * 24 * 8 + 1500)  # h, c and y of four rows, and their objects
    assert long - short < states


def test_x_may_stay_on_the_disk(tmp_path: Path, rng):
    """Each piece is cast by itself."""
    model = built([Input((None, D)), LSTM(2, return_sequences=True), Dense(1)], rng)
    model.compile("sgd", "mse")
    steps = 20_000
    x = np.memmap(tmp_path / "x.bin", "float32", "w+", shape=(B, steps, D))
    x[:] = rng.normal(size=x.shape)
    y = rng.normal(size=(B, steps, 1))
    batch = model.batch("fit", x, y)
    on_disk = batch._replace(x=x)
    for strategy in (TruncatedBPTT(50), RecomputedBPTT(500)):
        expected = strategy.learn(model, batch, model.loss)
        with traced() as peak:
            got = strategy.learn(model, on_disk, model.loss)
        assert peak[0] - got.y.nbytes < x.nbytes  # in float64 it takes twice its size
        assert got.value == expected.value
        for name, gradient in got.gradients.items():
            np.testing.assert_array_equal(gradient, expected.gradients[name])


# What is refused.


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([Bidirectional(LSTM(2, return_sequences=True))], "its backward layer begins at their end"),
        ([LSTM(2, go_backwards=True, return_sequences=True)], "with go_backwards it begins at"),
        ([LSTM(2, go_backwards=True)], "with go_backwards it begins at their end"),
        ([Dropout(0.5, noise_shape=(None, 7, None))], "a factor for each of 7 time steps"),
        (
            [Dense(2, activity_regularizer=OrthogonalRegularizer())],
            "OrthogonalRegularizer, is no sum over time steps",
        ),
    ],
)
@pytest.mark.parametrize("strategy", [RecomputedBPTT(2), TruncatedBPTT(2)], ids=str)
def test_layers_that_need_whole_sequences_are_refused_by_name(strategy, layers, reason, rng):
    layer = type(layers[0]).from_config(layers[0].get_config() | {"name": "whole"})
    model = Sequential([Input((None, D)), layer, Dense(K)])
    shape = model.compute_output_shape((B, T, D))
    model.compile("sgd", "mse")
    batch = model.batch("fit", rng.normal(size=(B, T, D)), rng.normal(size=shape))
    match = rf"{type(strategy).__name__} .* layer 'whole' \({type(layer).__name__}\) .*{reason}"
    with pytest.raises(UnsupportedError, match=match):
        strategy.learn(model, batch, model.loss)


def test_a_layer_of_another_kind_is_refused(rng):
    model = Sequential([Input((D,)), RepeatVector(T), LSTM(2)])
    model.compile("sgd", "mse")
    batch = model.batch("fit", rng.normal(size=(B, D)), rng.normal(size=(B, 2)))
    with pytest.raises(UnsupportedError, match=r"\(RepeatVector\) needs them whole: it is not one"):
        RecomputedBPTT(2).learn(model, batch, model.loss)


def test_what_has_no_time_axis_is_refused(rng):
    model = Sequential([Input((D,)), Dense(K)])
    model.compile("sgd", "mse")
    batch = model.batch("fit", rng.normal(size=(B, D)), rng.normal(size=(B, K)))
    with pytest.raises(ShapeError, match=r"gives the shape \(4, 2\) for an input of shape"):
        TruncatedBPTT(2).learn(model, batch, model.loss)


def test_padding_that_is_found_on_the_way_is_refused_by_the_truncated_alone(rng):
    start = [Input((None, D)), Dense(3, "relu"), Masking(name="gaps")]
    model = built([*start, LSTM(3, return_sequences=True), Dense(K)], rng)
    arrays = data(model, "none", rng)
    expected = learn(model, arrays, None)
    assert not expected.mask.all()
    assert_same(learn(model, arrays, RecomputedBPTT(2)), expected)
    with pytest.raises(UnsupportedError, match=r"'gaps' .* make it the first layer, or use Rec"):
        learn(model, arrays, TruncatedBPTT(2))
    assert_same(learn(model, arrays, TruncatedBPTT(T)), expected, ulps=0)


def test_a_loss_that_needs_the_whole_batch_is_refused(rng):
    model = built(layered(), rng)
    arrays = data(model, "scattered", rng, weighted=True)
    loss = lr.losses.MeanSquaredError(reduction="mean_with_sample_weight")
    for strategy in (RecomputedBPTT(2), TruncatedBPTT(2)):
        before = model.dropout_state()
        with pytest.raises(UnsupportedError, match="for which a batch must be whole"):
            learn(model, arrays, strategy, loss)
        assert model.dropout_state() == before
    model = built(many_to_many(False)(), rng)  # where it is judged once, it may be
    arrays = data(model, "scattered", rng, weighted=True)
    assert_same(learn(model, arrays, RecomputedBPTT(2), loss), learn(model, arrays, None, loss))


@pytest.mark.parametrize("steps", [0, -1, 2.0, True, None])
def test_steps_are_a_positive_whole_number(steps):
    with pytest.raises(ValueError, match="a positive whole number is needed"):
        TruncatedBPTT(steps)


def test_strategies_go_into_a_config_and_back():
    assert get(None) is None
    assert serialize(None) is None
    for strategy in (TruncatedBPTT(5), RecomputedBPTT(steps=7)):
        assert get(strategy) is strategy
        assert repr(get(serialize(strategy))) == repr(strategy)
    for other in ("truncated", {"class_name": "Other"}, 5):
        with pytest.raises(UnsupportedError, match=r"bptt=.* is not supported"):
            get(other)
