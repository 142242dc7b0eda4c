"""Dropout inside the gates: Keras' own draws put into our cells; and our draws by themselves.

The draws differ from Keras', so a comparison takes the factors that Keras drew. How many it draws
is measured here, too: one array [B,D] for all gates, or one each with ``implementation=1``, which
`recurrent_dropout` brings with it.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref import Sequential
from lstm_ref.layers import LSTM, RNN, Bidirectional, Dense, Input, LSTMCell
from lstm_ref.layers.session import set_seed
from lstm_ref.spec.parameters import Dropout
from tests.cases import MASKS, make_mask
from tests.keras_peer import Library, library_dtype
from tests.layers.twin_layers import assert_same_gradients, assert_same_outputs, twin_layers
from tests.peers import require

RATES = st.sampled_from([0.0, 0.25, 0.5])
CELLS = st.fixed_dictionaries(
    {
        "units": st.integers(1, 6),
        "dropout": RATES,
        "recurrent_dropout": RATES,
        "implementation": st.sampled_from([1, 2]),
        "use_bias": st.booleans(),
    }
)
CASES = {
    "seed": st.integers(0, 2**32 - 1),
    "sizes": st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)),
    "cells": st.lists(CELLS, min_size=2, max_size=3),
    "kind": st.sampled_from(["lstm", "rnn", "list", "bidirectional"]),
    "mask": st.sampled_from(MASKS),
    "return_sequences": st.booleans(),
    "go_backwards": st.booleans(),
}


def reader(kind: str, cells: list[dict[str, Any]], **run: Any):
    """A builder of one layer with dropout inside."""

    def build(lib: Library) -> Any:
        layers = lib.layers
        if kind in ("rnn", "list"):
            made = [layers.LSTMCell(**options, name=f"cell_{n}") for n, options in enumerate(cells)]
            return layers.RNN(made if kind == "list" else made[0], **run)
        # Keras' default, use_cudnn="auto", fails with implementation=1: it takes the four arrays
        # that are drawn then for one.
        lstm = layers.LSTM(**cells[0], use_cudnn=False, **run)
        return layers.Bidirectional(lstm) if kind == "bidirectional" else lstm

    return build


def keras_cells(layer: Any) -> list[Any]:
    """The cells of Keras' layer, in the order of its weights."""
    if hasattr(layer, "forward_layer"):
        return keras_cells(layer.forward_layer) + keras_cells(layer.backward_layer)
    return list(getattr(layer.cell, "cells", [layer.cell]))


def our_cells(layer: Any) -> list[LSTMCell]:
    if isinstance(layer, Bidirectional):
        return [cell for direction in layer.directions for cell in direction.cells]
    return layer.cells


def draw_alike(theirs: Any, ours: Any, B: int) -> None:
    """Let Keras draw for its next call, and our cells drop the same.

    Its cells keep a draw until the end of a call. ``Bidirectional`` makes its layers from a config
    that leaves `implementation` out, so ours follow what Keras' cells have.
    """
    tf = require("tensorflow")
    for cell, twin in zip(our_cells(ours), keras_cells(theirs), strict=True):
        D, H = cell.params["kernel"].shape[0], cell.units
        x = twin.get_dropout_mask(tf.ones((B, D), cell.dtype))
        h = twin.get_recurrent_dropout_mask(tf.ones((B, H), cell.dtype))
        separate = twin.implementation == 1
        for factors, rate, width in ((x, twin.dropout, D), (h, twin.recurrent_dropout, H)):
            shape = np.shape(factors) if rate else None
            assert shape == (((4, B, width) if separate else (B, width)) if rate else None)
        factors = Dropout(*(None if f is None else np.asarray(f) for f in (x, h)))
        drawn = None if factors.x is None and factors.h is None else factors
        cell.draw_dropout = lambda B, D, drawn=drawn: drawn


@settings(max_examples=60)
@given(**CASES)
def test_with_keras_draws_values_and_gradients_are_keras(
    seed, sizes, cells, kind, mask, return_sequences, go_backwards
):
    rng = np.random.default_rng(seed)
    B, T, D = sizes
    run = {"return_sequences": return_sequences, "go_backwards": go_backwards}
    if kind == "bidirectional":
        del run["go_backwards"]
    with library_dtype("float64"):
        theirs, ours = twin_layers(reader(kind, cells, **run), rng, (None, None, D))
        x = rng.normal(size=(B, T, D))
        m = make_mask(mask, B, T, rng)
        draw_alike(theirs, ours, B)
        assert_same_outputs(ours(x, mask=m, training=True), theirs(x, mask=m, training=True))
        draw_alike(theirs, ours, B)
        assert_same_gradients(theirs, ours, x, rng, m, training=True)
        assert_same_outputs(ours(x, mask=m), theirs(x, mask=m))


def test_single_steps_drop_what_keras_drops(rng):
    """A cell called by itself keeps its draw from step to step."""

    def build(lib: Library) -> Any:
        return lib.layers.LSTMCell(4, dropout=0.5, recurrent_dropout=0.4)

    with library_dtype("float64"):
        theirs, ours = twin_layers(build, rng, (None, 3))
        tf = require("tensorflow")
        x, state = rng.normal(size=(2, 3)), [rng.normal(size=(2, 4)) for _ in range(2)]
        factors = (
            theirs.get_dropout_mask(tf.ones((2, 3), "float64")),
            theirs.get_recurrent_dropout_mask(tf.ones((2, 4), "float64")),
        )
        ours.draw_dropout = lambda B, D: Dropout(*map(np.asarray, factors))
        for _ in range(2):
            got, expected = (cell(x, state, training=True) for cell in (ours, theirs))
            assert_same_outputs(got, expected)
            assert_same_outputs(ours(x, state), theirs(x, state))


@pytest.mark.parametrize(
    ("options", "implementation"),
    [
        ({"dropout": 0.5}, 2),
        ({"dropout": 0.5, "implementation": 1}, 1),
        ({"recurrent_dropout": 0.5}, 1),
        ({"recurrent_dropout": 0.5, "implementation": 2}, 1),
    ],
)
def test_how_many_arrays_are_drawn(options, implementation):
    ours = LSTM(4, **options)
    assert ours.implementation == implementation
    drawn = ours.cells[0].draw_dropout(3, 2)
    gates = (4,) if implementation == 1 else ()
    assert (None if drawn.x is None else drawn.x.shape) == (
        (*gates, 3, 2) if "dropout" in options else None
    )
    assert (None if drawn.h is None else drawn.h.shape) == (
        (*gates, 3, 4) if "recurrent_dropout" in options else None
    )
    assert LSTM(4).cells[0].draw_dropout(3, 2) is None


# Our draws.


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rate_and_the_scale(rate, dtype):
    cell = LSTMCell(100, dropout=rate, recurrent_dropout=rate, seed=7, dtype=dtype)
    drawn = cell.draw_dropout(200, 50)
    for factors in (drawn.x, drawn.h):
        assert factors.dtype == dtype
        assert set(np.unique(factors)) == {0, np.dtype(dtype).type(1 / (1 - rate))}
        # Each gate by itself: the part dropped lies within five deviations of a binomial's.
        spread = 5 * np.sqrt(rate * (1 - rate) / factors[0].size)
        assert np.all(np.abs(np.mean(factors == 0, axis=(1, 2)) - rate) < spread)
    by_gate = drawn.x.reshape(4, -1)
    assert all(np.any(by_gate[m] != by_gate[n]) for m in range(4) for n in range(m))


def test_the_same_is_dropped_at_every_step_and_other_things_in_other_rows(rng):
    """What is dropped has no gradient: the same features at all steps of a row."""
    layer = LSTM(4, dropout=0.5, return_sequences=True, seed=3, dtype="float64")
    x = rng.normal(size=(20, 6, 8))
    y, cache = layer.forward(layer.read(x), None, training=True, keep_cache=True)
    d_x, _ = layer.backward(rng.normal(size=y.shape), cache)
    dropped = d_x == 0  # [B,T,D]
    assert np.all(dropped == dropped[:, :1])
    rows = dropped[:, 0]
    assert 0.3 < rows.mean() < 0.7
    assert len(np.unique(rows, axis=0)) > 15


def test_what_is_dropped_does_not_touch_the_state_itself(rng):
    """With recurrent_dropout near 1 the gates hardly see h, and c still carries on."""
    layer = LSTM(3, recurrent_dropout=0.999, return_sequences=True, dtype="float64", seed=1)
    alone = LSTM(3, return_sequences=True, dtype="float64")
    x = rng.normal(size=(2, 5, 2))
    layer.build(x.shape)
    alone.build(x.shape)
    W, U, b = layer.get_weights()
    alone.set_weights([W, 0 * U, b])
    np.testing.assert_allclose(layer(x, training=True), alone(x), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: LSTM(4, dropout=0.5, seed=seed),
        lambda seed: LSTM(4, recurrent_dropout=0.5, seed=seed),
        lambda seed: RNN([LSTMCell(4, dropout=0.5, seed=seed), LSTMCell(3, dropout=0.3, seed=1)]),
        lambda seed: Bidirectional(LSTM(4, dropout=0.5, seed=seed)),
    ],
)
def test_seeds_repeat(make, rng):
    x = rng.normal(size=(3, 4, 5)).astype("float32")
    first, same, other = make(1), make(1), make(2)
    plain = first(x)
    for layer in (same, other):
        layer.build(x.shape)
        layer.set_weights(first.get_weights())
    drops = [first(x, training=True) for _ in range(3)]
    assert not any(np.array_equal(a, plain) for a in drops)
    assert not np.array_equal(drops[0], drops[1])
    for drop in drops:
        np.testing.assert_array_equal(same(x, training=True), drop)
    assert not np.array_equal(other(x, training=True), drops[0])
    first.restart_dropout()
    np.testing.assert_array_equal(first(x, training=True), drops[0])
    for training in (False, None):
        np.testing.assert_array_equal(first(x, training=training), plain)


def test_without_a_seed_the_session_decides(rng):
    x = rng.normal(size=(3, 4, 5)).astype("float32")

    def run() -> np.ndarray:
        layer = LSTM(4, dropout=0.5, kernel_initializer="ones", recurrent_initializer="zeros")
        return layer(x, training=True)

    set_seed(5)
    first, second = run(), run()
    assert not np.array_equal(first, second)
    set_seed(5)
    np.testing.assert_array_equal(run(), first)


def test_a_cell_keeps_its_draw_until_told(rng):
    cell = LSTMCell(4, dropout=0.5, recurrent_dropout=0.5)
    x, state = rng.normal(size=(2, 30)), [rng.normal(size=(2, 4)) for _ in range(2)]
    first = cell(x, state, training=True)[0]
    np.testing.assert_array_equal(cell(x, state, training=True)[0], first)
    for reset in (cell.reset_dropout_mask, cell.reset_recurrent_dropout_mask):
        reset()
        second = cell(x, state, training=True)[0]
        assert not np.array_equal(second, first)
        first = second


def test_fit_drops_and_predict_does_not(rng):
    x = rng.normal(size=(6, 4, 3)).astype("float32")
    y = np.zeros((6, 1), "float32")

    def model(rate: float) -> Sequential:
        made = Sequential([Input((4, 3)), LSTM(5, dropout=rate, seed=2), Dense(1)])
        made.compile("sgd", "mse")
        return made

    dropping, plain = model(0.5), model(0.0)
    plain.set_weights(dropping.get_weights())
    np.testing.assert_array_equal(dropping.predict(x, verbose=0), plain.predict(x, verbose=0))
    assert dropping.evaluate(x, y, verbose=0) == plain.evaluate(x, y, verbose=0)
    losses = [dropping.loss_and_gradients(x, y)[0] for _ in range(2)]
    assert losses[0] != losses[1]
    for made in (dropping, plain):
        made.fit(x, y, verbose=0, shuffle=False)
    assert not np.array_equal(dropping.get_weights()[0], plain.get_weights()[0])


def test_the_config_holds_what_makes_the_draws():
    layer = LSTM(4, dropout=0.25, recurrent_dropout=0.5, seed=np.int64(9))
    config = layer.get_config()
    assert {k: config[k] for k in ("dropout", "recurrent_dropout", "seed", "implementation")} == {
        "dropout": 0.25,
        "recurrent_dropout": 0.5,
        "seed": 9,
        "implementation": 1,
    }
    assert type(config["seed"]) is int  # JSON has no numbers of NumPy's
    x = np.ones((2, 3, 4), "float32")
    again = LSTM.from_config(config)
    y = layer(x, training=True)
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x, training=True), y)
