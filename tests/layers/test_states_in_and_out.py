"""Layers run from a state and give the state after them; gradients go the same way back."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref import Sequential
from lstm_ref.errors import ModelFormatError, ShapeError
from lstm_ref.layers import LSTM, RNN, Bidirectional, Dense, Dropout, Input, LSTMCell
from lstm_ref.layers.rnn import RNNState
from tests.cases import BACKENDS, MASKS, computing, make_mask
from tests.keras_peer import (
    OURS,
    Library,
    assert_close,
    keras_library,
    library_dtype,
    random_weights,
)
from tests.layers.test_rnn import random_state, rnn
from tests.layers.twin_layers import twin_layers
from tests.peers import require

ULPS = 40
"""For gradients, of the largest one: sums over all rows and steps; measured: at most 6."""

KINDS = (*MASKS, "left then gap", "middle")

RUNS = {
    "seed": st.integers(0, 2**32 - 1),
    "sizes": st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 5)),
    "units": st.lists(st.integers(1, 9), min_size=1, max_size=3),
    "mask": st.sampled_from(KINDS),
    "cuts": st.lists(st.integers(0, 9), max_size=4),
    "return_sequences": st.booleans(),
    "zero_output_for_mask": st.booleans(),
    "backend": st.sampled_from(BACKENDS),
}


def steps_mask(kind: str, B: int, T: int, rng: np.random.Generator) -> np.ndarray | None:
    """Those of `make_mask`, and long runs of padding, in front or in the middle."""
    if kind == "left then gap":
        return make_mask("left", B, T, rng) & make_mask("scattered", B, T, rng)
    if kind == "middle":
        first, last = np.sort(rng.integers(0, T + 1, (2, B, 1)), axis=0)
        steps = np.arange(T)
        return (steps < first) | (steps >= last)
    return make_mask(kind, B, T, rng)


def layer_of(units: list[int], rng: np.random.Generator, D: int, **run: Any) -> RNN:
    """An `LSTM`, or an `RNN` over several cells, with random weights that differ everywhere."""
    cells = [LSTMCell(n, dtype="float64") for n in units]
    layer = RNN(cells, **run) if len(units) > 1 else LSTM(units[0], dtype="float64", **run)
    layer.build((None, None, D))
    layer.set_weights(random_weights([w.shape for w in layer.weights], rng))
    return layer


def random_gradients(rng: np.random.Generator, end: RNNState) -> RNNState:
    """Upstream gradients on h and c of each cell."""
    return RNNState([(rng.normal(size=h.shape), rng.normal(size=c.shape)) for h, c in end.cells])


@settings(max_examples=200)
@given(**RUNS)
def test_pieces_are_the_whole(
    seed, sizes, units, mask, cuts, return_sequences, zero_output_for_mask, backend
):
    """Wherever a sequence is cut, forward to the bit and backward to rounding."""
    rng = np.random.default_rng(seed)
    B, T, D = sizes
    run = {"return_sequences": return_sequences, "zero_output_for_mask": zero_output_for_mask}
    layer = layer_of(units, rng, D, **run)
    x, m = rng.normal(size=(B, T, D)), steps_mask(mask, B, T, rng)
    if m is not None:
        x[~m] = np.nan
    start = layer.state_from(random_state(layer, B, rng, "float64"))
    borders = [0, *sorted(min(cut, T) for cut in cuts), T]  # pieces of no steps, too
    pieces = [slice(a, b) for a, b in pairwise(borders)]
    with computing(backend):
        y, end, cache = layer.forward_from(x, start, m, keep_cache=True)
        ys, caches, state = [], [], start
        for piece in pieces:
            of_piece = None if m is None else m[:, piece]
            y_n, state, kept = layer.forward_from(x[:, piece], state, of_piece, keep_cache=True)
            ys.append(y_n)
            caches.append(kept)
        got = np.concatenate(ys, axis=1) if return_sequences else ys[-1]
        np.testing.assert_array_equal(got, y)
        for pair, wanted in zip(state.cells, end.cells, strict=True):
            np.testing.assert_array_equal(pair, wanted)

        d_y, d_end = rng.normal(size=y.shape), random_gradients(rng, end)
        d_x, d_start, gradients = layer.backward_to(d_y, d_end, cache)
        d_state, parts, sums = d_end, [], dict.fromkeys(gradients, 0.0)
        for n in reversed(range(len(pieces))):
            d_n = d_y[:, pieces[n]] if return_sequences else d_y * (n == len(pieces) - 1)
            d_x_n, d_state, found = layer.backward_to(d_n, d_state, caches[n])
            parts.insert(0, d_x_n)
            sums = {name: sums[name] + found[name] for name in sums}
    pairs = {"x": (np.concatenate(parts, axis=1), d_x)}
    pairs |= {name: (sums[name], gradients[name]) for name in sums}
    for n, (got_n, wanted) in enumerate(zip(d_state.cells, d_start.cells, strict=True)):
        pairs |= {f"h0[{n}]": (got_n[0], wanted[0]), f"c0[{n}]": (got_n[1], wanted[1])}
    scale = max(float(np.max(np.abs(wanted), initial=0)) for _, wanted in pairs.values())
    for name, (part, whole) in pairs.items():
        assert_close(part, whole, ulps=ULPS, scale=max(scale, 1), what=f"d_{name}")


@settings(max_examples=60)
@given(**RUNS)
def test_the_output_before_a_piece_has_its_gradient(
    seed, sizes, units, mask, cuts, return_sequences, zero_output_for_mask, backend
):
    """Masked steps in front repeat it: central differences along a random direction."""
    rng = np.random.default_rng(seed)
    B, T, D = sizes
    run = {"return_sequences": return_sequences, "zero_output_for_mask": zero_output_for_mask}
    layer = layer_of(units, rng, D, **run)
    x, m = rng.normal(size=(B, T, D)), steps_mask(mask, B, T, rng)
    cells = layer.state_from(random_state(layer, B, rng, "float64")).cells
    held, d_held = rng.normal(size=(2, B, units[-1]))
    directions = [[rng.normal(size=s.shape) for s in pair] for pair in cells]
    direction = rng.normal(size=held.shape)

    def start(step: float) -> RNNState:
        pairs = zip(cells, directions, strict=True)
        moved = [(h + step * v, c + step * w) for (h, c), (v, w) in pairs]
        return RNNState(moved, held + step * direction)

    with computing(backend):
        y, end, cache = layer.forward_from(x, start(0), m, keep_cache=True)
        d_y, d_end = rng.normal(size=y.shape), random_gradients(rng, end)._replace(y=d_held)

        def loss(step: float) -> float:
            y, end, _ = layer.forward_from(x, start(step), m)
            of_states = sum(
                np.sum(np.multiply(pair, d_pair))
                for pair, d_pair in zip(end.cells, d_end.cells, strict=True)
            )
            return float(np.sum(y * d_y) + np.sum(end.y * d_held) + of_states)

        _, d_start, _ = layer.backward_to(d_y, d_end, cache)
    # Where masked steps give 0 nothing reads the output before, and it has no gradient.
    slope = 0.0 if d_start.y is None else float(np.sum(d_start.y * direction))
    for d_pair, pair in zip(d_start.cells, directions, strict=True):
        slope += float(np.sum(np.multiply(d_pair, pair)))
    h = 1e-3
    coarse, fine = ((loss(s) - loss(-s)) / (2 * s) for s in (h, h / 2))
    expected = (4 * fine - coarse) / 3  # Richardson: the error is of order h⁴, about 1e-12
    assert abs(slope - expected) <= 1e-9 * max(1, abs(expected))


# Beside Keras.


def nested(state: Any, made: Any) -> Any:
    """The same lists, of what ``made`` makes of each array."""
    return [nested(s, made) for s in state] if isinstance(state, list) else made(state)


def flat(state: Any) -> list[Any]:
    return [a for s in state for a in flat(s)] if isinstance(state, list | tuple) else [state]


CELLS = [[{"units": 3}], [{"units": 4}, {"units": 2}]]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("cells", CELLS, ids=["lstm", "stacked"])
@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize("go_backwards", [True, False])
def test_gradients_on_the_initial_and_from_the_final_state_equal_keras(
    mask, return_sequences, cells, zero, go_backwards, rng
):
    tf = require("tensorflow")
    B, T, D = 3, 6, 2
    run = {"zero_output_for_mask": zero, "go_backwards": go_backwards}
    run |= {"return_sequences": return_sequences, "return_state": True}
    form = "lstm" if len(cells) == 1 else "list"
    with library_dtype("float64"):
        theirs, ours = twin_layers(rnn(cells, form, **run), rng, (None, None, D))
        x, m = rng.normal(size=(B, T, D)), make_mask(mask, B, T, rng)
        state = random_state(ours, B, rng, "float64")
        y, end, cache = ours.forward_from(x, ours.state_from(state), m, keep_cache=True)
        d_y, d_end = rng.normal(size=y.shape), random_gradients(rng, end)
        d_x, d_start, gradients = ours.backward_to(d_y, d_end, cache)

        sources = nested(state, tf.Variable)
        inputs = tf.Variable(x)
        with tf.GradientTape() as tape:
            out, *states = theirs(inputs, initial_state=sources, mask=m)
            upstream = zip([out, *flat(states)], [d_y, *flat(list(d_end.cells))], strict=True)
            target = sum(tf.reduce_sum(o * d) for o, d in upstream)
        weights = [w.value for w in theirs.weights]
        wanted = tape.gradient(target, [inputs, *flat(sources), *weights])
    got = [d_x, *flat(list(d_start.cells)), *(gradients[name] for name in ours.params)]
    scale = max(float(np.max(np.abs(w))) for w in wanted)
    for n, (a, b) in enumerate(zip(got, wanted, strict=True)):
        assert_close(a, np.asarray(b), ulps=ULPS, scale=scale, what=f"gradient {n}")


@pytest.mark.parametrize("mask", ["none", "left", "scattered", "nothing real"])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("merge_mode", ["concat", "mul"])
def test_bidirectional_has_them_too(mask, return_sequences, merge_mode, rng):
    tf = require("tensorflow")
    B, T, D = 3, 5, 2

    def build(lib: Library) -> Any:
        lstm = lib.layers.LSTM(3, return_sequences=return_sequences)
        return lib.layers.Bidirectional(lstm, merge_mode=merge_mode)

    with library_dtype("float64"):
        theirs, ours = twin_layers(build, rng, (None, None, D))
        x, m = rng.normal(size=(B, T, D)), make_mask(mask, B, T, rng)
        states = [rng.normal(size=(B, 3)) for _ in range(4)]
        pairs = zip(ours.directions, (states[:2], states[2:]), strict=True)
        start = tuple(direction.state_from(pair) for direction, pair in pairs)
        y, _, cache = ours.forward_from(x, start, m, keep_cache=True)
        np.testing.assert_array_equal(y, ours(x, initial_state=states, mask=m))
        d_y = rng.normal(size=y.shape)
        _, d_start, _ = ours.backward_to(d_y, None, cache)
        sources = [tf.Variable(s) for s in states]
        with tf.GradientTape() as tape:
            out = theirs(tf.constant(x), initial_state=sources, mask=m)
            target = tf.reduce_sum(out * d_y)
        wanted = tape.gradient(target, sources)
    got = [d for direction in d_start for pair in direction.cells for d in pair]
    scale = max(float(np.max(np.abs(w))) for w in wanted)
    for n, (a, b) in enumerate(zip(got, wanted, strict=True)):
        assert_close(a, np.asarray(b), ulps=ULPS, scale=max(scale, 1), what=f"state {n}")


# What comes and goes with a state.


def test_a_pass_from_a_state_changes_no_layer(rng):
    layer = LSTM(3, stateful=True, return_sequences=True, dropout=0.5, seed=1, dtype="float64")
    layer.build((2, None, 4))
    x = rng.normal(size=(2, 5, 4))
    layer.forward(x)
    before = [s.copy() for s in layer.states]
    _, end, _ = layer.forward_from(x, None)
    np.testing.assert_array_equal(layer.states, before)
    layer.keep(end)
    np.testing.assert_array_equal(layer.states, end.cells[0])
    end.cells[0][0][:] = 7  # what is kept is a copy
    assert not np.any(np.asarray(layer.states[0]) == 7)


def test_a_stateful_layer_begins_from_the_state_it_kept_and_with_an_output_of_zeros(rng):
    """As in Keras: h goes on, the output that masked steps repeat does not."""
    keras = keras_library()
    with library_dtype("float64"):
        for lib in (keras, OURS):
            layer = lib.layers.LSTM(3, stateful=True, return_sequences=True)
            layer.build((2, 4, 2))
            layer.set_weights([np.full(w.shape, 0.3) for w in layer.get_weights()])
            x, mask = np.ones((2, 4, 2)), np.array([[False, False, True, True]] * 2)
            layer(x)
            again = np.asarray(layer(x, mask=mask))
            assert not again[:, :2].any()
            assert again[:, 2:].all()


@pytest.mark.parametrize("implementation", [1, 2])
def test_what_is_dropped_is_the_same_in_all_pieces(implementation, rng):
    options = {"dropout": 0.5, "implementation": implementation, "seed": 3, "dtype": "float64"}
    cells = [LSTMCell(4, **options), LSTMCell(3, recurrent_dropout=0.5, seed=4, dtype="float64")]
    layer = RNN(cells, return_sequences=True)
    layer.build((None, None, 5))
    x = rng.normal(size=(2, 6, 5))
    whole, _, _ = layer.forward_from(x, training=True)
    layer.restart_dropout()
    first, state, _ = layer.forward_from(x[:, :2], training=True)
    second, _, _ = layer.forward_from(x[:, 2:], state, training=True)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    plain, _, _ = layer.forward_from(x[:, 2:], state)  # outside training nothing is dropped
    assert np.any(plain != second)


def test_dropout_of_all_steps_alike_is_the_same_in_all_pieces(rng):
    layer = Dropout(0.5, noise_shape=(None, 1, None), seed=2, dtype="float64")
    x = rng.normal(size=(3, 5, 4))
    whole, _, _ = layer.forward_from(x, training=True)
    layer.restart_dropout()
    first, state, _ = layer.forward_from(x[:, :1], training=True)
    second, _, factors = layer.forward_from(x[:, 1:], state, training=True, keep_cache=True)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    d_x, _, _ = layer.backward_to(np.ones_like(second), None, factors)
    np.testing.assert_array_equal(d_x * x[:, 1:], second)


# A model's memory besides its weights.


def forgetful(stateful: bool = False) -> Sequential:
    """Dropout in a layer, in the cells of a layer, and in parts inside layers."""
    one = {"dropout": 0.3, "return_sequences": True, "dtype": "float64"}
    cells = [LSTMCell(2, recurrent_dropout=0.4, dtype="float64"), LSTMCell(3, dtype="float64")]
    return Sequential(
        [
            Input(batch_shape=(2, None, 3)),
            Dropout(0.2, dtype="float64", name="drop"),
            LSTM(4, stateful=stateful, name="reader", **one),
            RNN(cells, return_sequences=True, stateful=stateful, name="stack"),
            Bidirectional(LSTM(2, stateful=stateful, name="both", **one), name="ends"),
            Dropout(0.0, dtype="float64"),
            Dense(1, dtype="float64"),
        ]
    )


def test_dropout_goes_on_where_it_stood(rng):
    model = forgetful()
    x = rng.normal(size=(2, 4, 3))
    model(x, training=True)
    state = model.dropout_state()
    assert list(state) == [
        *("drop", "reader", f"stack/{model.layers[2].cells[0].name}"),
        *("ends/forward_both", "ends/backward_both"),
    ]
    expected = [model(x, training=True) for _ in range(2)]
    model.restore_dropout_state(state)
    np.testing.assert_array_equal([model(x, training=True) for _ in range(2)], expected)


def test_dropout_that_has_not_begun_begins_when_it_is_asked_where_it_stands(rng):
    model = forgetful()
    state = json.loads(json.dumps(model.dropout_state()))
    x = rng.normal(size=(2, 4, 3))
    expected = model(x, training=True)
    other = Sequential.from_config(model.get_config())
    other.build((2, None, 3))
    other.set_weights(model.get_weights())
    renamed = dict(zip(other.dropout_state(), state.values(), strict=True))
    other.restore_dropout_state(renamed)
    np.testing.assert_array_equal(other(x, training=True), expected)
    other.restart_dropout()  # the seeds came along
    np.testing.assert_array_equal(other(x, training=True), expected)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"seed": 1},
        {"seed": None, "generator": {}},
        {"seed": "1", "generator": {}},
        {"seed": -1, "generator": {}},
        {"seed": 1, "generator": {"bit_generator": "MT19937"}},
        {"seed": 1, "generator": {"bit_generator": "PCG64", "state": {"state": -1, "inc": 1}}},
        [],
    ],
    ids=str,
)
def test_a_broken_state_of_dropout_is_refused(broken):
    model = Sequential([Input((None, 2)), Dropout(0.5, name="drop")])
    with pytest.raises(ModelFormatError, match="not the state of a generator of dropout"):
        model.restore_dropout_state({"drop": broken})


def test_the_state_of_other_dropout_is_refused():
    model = Sequential([Input((None, 2)), Dropout(0.5, name="drop"), Dropout(0.0, name="none")])
    for state in ({}, {"none": {}}, {"drop": model.dropout_state()["drop"], "more": {}}):
        with pytest.raises(ModelFormatError, match="the model has it in drop"):
            model.restore_dropout_state(state)


def test_states_of_layers_go_on_where_they_stood(rng):
    model = forgetful(stateful=True)
    assert model.layer_states() == {}
    x = rng.normal(size=(2, 4, 3))
    model(x)
    states = model.layer_states()
    cells = [cell.name for cell in model.layers[2].cells]
    assert list(states) == [
        f"{layer}/{s}"
        for layer in (
            *("reader", f"stack/{cells[0]}", f"stack/{cells[1]}"),
            *("ends/forward_both", "ends/backward_both"),
        )
        for s in "hc"
    ]
    expected = model(x)
    states_after = model.layer_states()
    model.restore_layer_states(states)
    np.testing.assert_array_equal(model(x), expected)
    for name, array in model.layer_states().items():
        np.testing.assert_array_equal(array, states_after[name])
    model.restore_layer_states({})
    assert model.layer_states() == {}
    array = states["reader/h"].copy()
    model.restore_layer_states(states)
    states["reader/h"][:] = 5  # what is restored is a copy
    np.testing.assert_array_equal(model.layer_states()["reader/h"], array)


def test_states_of_other_layers_are_refused(rng):
    model = forgetful(stateful=True)
    model(rng.normal(size=(2, 4, 3)))
    states = model.layer_states()
    with pytest.raises(ModelFormatError, match=r"no state 'drop/h': .* reader/h, reader/c"):
        model.restore_layer_states({**states, "drop/h": states["reader/h"]})
    with pytest.raises(ModelFormatError, match="only some came"):
        model.restore_layer_states({"reader/h": states["reader/h"]})
    with pytest.raises(ShapeError, match=r"'reader/c' has shape \(1, 4\), .* \(2, 4\)"):
        model.restore_layer_states({**states, "reader/c": states["reader/c"][:1]})
    for name, array in model.layer_states().items():  # and nothing has changed
        np.testing.assert_array_equal(array, states[name])
    with pytest.raises(ModelFormatError, match="have no layer"):
        Sequential([Input((None, 2)), LSTM(3)]).restore_layer_states(states)
