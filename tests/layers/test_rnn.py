"""LSTMCell, StackedRNNCells, RNN over one cell and over several, and LSTM, against Keras."""

import inspect
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref import Sequential
from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.layers import LSTM, RNN, Dense, Input, LSTMCell, StackedRNNCells
from tests.cases import MASKS, make_mask
from tests.keras_peer import OURS, Library, assert_close, keras_library, library_dtype
from tests.layers.twin_layers import (
    assert_config_round_trip,
    assert_same_config,
    assert_same_gradients,
    assert_same_masks,
    assert_same_outputs,
    twin_layers,
)
from tests.peers import require

SMALL = st.integers(1, 6)
UNITS = st.one_of(SMALL, SMALL, SMALL, st.integers(7, 40))
ACTIVATIONS = st.sampled_from(["tanh", "relu", "sigmoid", "softsign", "linear"])

CELLS = st.lists(
    st.fixed_dictionaries(
        {
            "units": UNITS,
            "activation": ACTIVATIONS,
            "recurrent_activation": st.sampled_from(["sigmoid", "hard_sigmoid"]),
            "use_bias": st.booleans(),
        }
    ),
    min_size=2,  # Keras fails on a list of one; see `test_a_list_of_one_cell`
    max_size=3,
)

RUNS = st.fixed_dictionaries(
    {
        "return_sequences": st.booleans(),
        "return_state": st.booleans(),
        "go_backwards": st.booleans(),
        "zero_output_for_mask": st.booleans(),
        "unroll": st.booleans(),
    }
).map(lambda run: sound(run))

CASES = {
    "seed": st.integers(0, 2**32 - 1),
    "sizes": st.tuples(st.integers(1, 4), st.integers(1, 7), UNITS),
    "cells": CELLS,
    "form": st.sampled_from(["lstm", "cell", "list", "stacked"]),
    "mask": st.sampled_from(MASKS),
    "run": RUNS,
    "given_state": st.booleans(),
}


def sound(run: dict[str, Any]) -> dict[str, Any]:
    """Without what Keras gets wrong, see `test_keras_unrolled_zeros_the_wrong_steps`."""
    wrong = run["unroll"] and run["go_backwards"] and run["zero_output_for_mask"]
    return {**run, "unroll": False} if wrong else run


def rnn(cells: list[dict[str, Any]], form: str, **run: Any):
    """A builder of `LSTM`, or ``RNN`` over the first cell, a list, or `StackedRNNCells`."""

    def build(lib: Library) -> Any:
        layers = lib.layers
        made = [layers.LSTMCell(**options, name=f"cell_{n}") for n, options in enumerate(cells)]
        if form == "lstm":
            return layers.LSTM(**cells[0], name="reader", **run)
        cell = {
            "cell": lambda: made[0],
            "list": lambda: made,
            "stacked": lambda: layers.StackedRNNCells(made, name="stack"),
        }[form]()
        return layers.RNN(cell, name="reader", **run)

    return build


def random_state(layer: RNN, B: int, rng: np.random.Generator, dtype: str) -> Any:
    """A state in the form the layer takes."""

    def of(size: Any) -> Any:
        nested = isinstance(size, list)
        return [of(s) for s in size] if nested else rng.normal(size=(B, size)).astype(dtype)

    return of(layer.state_size)


def check_run(dtype, seed, sizes, cells, form, mask, run, given_state) -> None:
    """Outputs, states, masks, shapes and gradients of one configuration."""
    rng = np.random.default_rng(seed)
    B, T, D = sizes
    with library_dtype(dtype):
        theirs, ours = twin_layers(rnn(cells, form, **run), rng, (None, None, D))
        x = rng.normal(size=(B, T, D)).astype(dtype)
        m = make_mask(mask, B, T, rng)
        state = random_state(ours, B, rng, dtype) if given_state else None
        got, expected = (layer(x, initial_state=state, mask=m) for layer in (ours, theirs))
        assert_same_outputs(got, expected)
        assert_same_masks(got, expected)
        for shape in ((B, T, D), (None, None, D)):
            assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape)
        assert_same_outputs_or_none(ours.compute_mask(x, m), theirs.compute_mask(x, m))
        assert_same_gradients(theirs, ours, x, rng, m)


def assert_same_outputs_or_none(got: Any, expected: Any) -> None:
    """Masks in the same lists, the very arrays that went in."""
    if isinstance(expected, list):
        assert len(got) == len(expected)
        assert all(a is b for a, b in zip(got, expected, strict=True))
    else:
        assert got is expected


@settings(max_examples=210)
@given(**CASES)
def test_every_configuration_equals_keras(seed, sizes, cells, form, mask, run, given_state):
    check_run("float64", seed, sizes, cells, form, mask, run, given_state)


@settings(max_examples=30)
@given(**CASES)
def test_in_float32_too(seed, sizes, cells, form, mask, run, given_state):
    check_run("float32", seed, sizes, cells, form, mask, run, given_state)


# One step.


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), B=st.integers(1, 4), D=UNITS, cells=CELLS)
def test_steps_of_cells_equal_keras(dtype, seed, B, D, cells):
    """Each cell by itself, and all of them on top of each other, three steps long."""
    rng = np.random.default_rng(seed)
    with library_dtype(dtype):
        for several in (False, True):
            build = partial(cell_of, cells=cells, several=several)
            theirs, ours = twin_layers(build, rng, (None, D))
            state = theirs.get_initial_state(B)
            assert_same_outputs(ours.get_initial_state(B), state, ulps=0)
            assert ours.state_size == theirs.state_size
            assert ours.output_size == theirs.output_size
            mine = ours.get_initial_state(B)
            for _ in range(3):
                x = rng.normal(size=(B, D)).astype(dtype)
                expected, state = theirs(x, state)
                got, mine = ours(x, mine)
                assert_same_outputs((got, mine), (expected, state))


def cell_of(lib: Library, cells: list[dict[str, Any]], several: bool) -> Any:
    made = [lib.layers.LSTMCell(**options, name=f"cell_{n}") for n, options in enumerate(cells)]
    return lib.layers.StackedRNNCells(made) if several else made[0]


def test_the_shapes_of_a_step_are_those_it_gives():
    cell = LSTMCell(3)
    stacked = StackedRNNCells([LSTMCell(3), LSTMCell(2)])
    for layer, state in (
        (cell, cell.get_initial_state(5)),
        (stacked, stacked.get_initial_state(5)),
    ):
        h, after = layer(np.zeros((5, 4)), state)
        shape, states = layer.compute_output_shape((5, 4))
        assert shape == h.shape
        flat = [s.shape for s in after] if layer is cell else [[s.shape for s in p] for p in after]
        assert states == flat


def test_a_loop_over_a_cell_is_the_layer(rng):
    layer = LSTM(4, return_sequences=True, return_state=True, dtype="float64")
    x = rng.normal(size=(2, 5, 3))
    y, h, c = layer(x)
    state = layer.cell.get_initial_state(2)
    for t in range(5):
        step, state = layer.cell(x[:, t], state)
        assert_close(step, y[:, t], ulps=4)
    assert_close(state[0], h, ulps=4)
    assert_close(state[1], c, ulps=4)


def test_an_rnn_over_one_cell_is_an_lstm(rng):
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    mask = np.array([[True, False, True, True, False]] * 2)
    options = {"return_sequences": True, "return_state": True, "go_backwards": True}
    lstm, over_cell = LSTM(4, **options), RNN(LSTMCell(4), **options)
    expected = lstm(x, mask=mask)
    over_cell.build((None, None, 3))
    over_cell.set_weights(lstm.get_weights())
    for a, b in zip(over_cell(x, mask=mask), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_list_of_one_cell(rng):
    """It is one cell whose states come in a list of one pair.

    Keras gives that where it can, but its ``StackedRNNCells`` of one cell gives the pair alone, and
    so its ``RNN`` fails on a mask and when unrolled.
    """
    options = {"return_sequences": True, "return_state": True}
    x, state = rng.normal(size=(2, 5, 3)), [[rng.normal(size=(2, 4)) for _ in range(2)]]
    mask = np.array([[True, False, True, True, False]] * 2)
    with library_dtype("float64"):
        theirs, ours = twin_layers(rnn([{"units": 4}], "list", **options), rng, (None, None, 3))
        got, expected = (layer(x, initial_state=state) for layer in (ours, theirs))
        assert_same_outputs(got, expected)
        assert_same_gradients(theirs, ours, x, rng)
        with pytest.raises(ValueError, match="nested structure"):
            theirs(x, mask=mask)
        alone = RNN(LSTMCell(4), **options)
        alone.build((None, None, 3))
        alone.set_weights(ours.get_weights())
        y, *pair = alone(x, initial_state=state[0], mask=mask)
        assert_same_outputs(ours(x, initial_state=state, mask=mask), (y, pair), ulps=0)
        step = StackedRNNCells([LSTMCell(4)])
        _, after = step(x[:, 0], step.get_initial_state(2))
        assert [[s.shape for s in pair] for pair in after] == [[(2, 4), (2, 4)]]


def test_keras_unrolled_zeros_the_wrong_steps(rng):
    """It forgets to turn the mask round with the outputs. Unrolled or not, ours is its loop."""
    x, mask = rng.normal(size=(1, 3, 2)), np.array([[True, False, False]])
    options = {"return_sequences": True, "go_backwards": True, "zero_output_for_mask": True}
    with library_dtype("float64"):
        build = rnn([{"units": 4}], "cell", unroll=True, **options)
        theirs, ours = twin_layers(build, rng, (None, None, 2))
        loop, _ = twin_layers(rnn([{"units": 4}], "cell", **options), rng, (None, None, 2))
        loop.set_weights(ours.get_weights())
        assert not np.asarray(theirs(x, mask=mask)).any()  # and the step that is real was the last
        assert_same_outputs(ours(x, mask=mask), loop(x, mask=mask))


# Weights and configs.


def test_weights_have_the_names_order_and_shapes_of_keras():
    cells = [{"units": 3}, {"units": 2, "use_bias": False}]
    theirs, ours = twin_layers(rnn(cells, "stacked"), np.random.default_rng(0), (None, None, 5))
    assert [f"reader/stack/{name}" for name in ours.params] == [w.path for w in theirs.weights]
    assert ours.count_params() == theirs.count_params()
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["LSTMCell", "StackedRNNCells", "RNN"])
def test_defaults_and_argument_order_are_those_of_keras(name):
    theirs = inspect.signature(getattr(keras_library().layers, name).__init__).parameters
    ours = inspect.signature(getattr(OURS.layers, name).__init__).parameters
    positional = [n for n, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD] == positional
    assert [ours[n].default for n in positional] == [theirs[n].default for n in positional]


@pytest.mark.parametrize("form", ["cell", "list", "stacked"])
def test_configs_hold_keras_values_and_make_the_same_layer_again(form):
    cells = [
        {"units": 3, "activation": "relu", "kernel_regularizer": "l2", "seed": 4},
        {"units": 2, "bias_constraint": "non_neg", "dropout": 0.25, "unit_forget_bias": False},
    ]
    build = rnn(cells, form, return_sequences=True, go_backwards=True, zero_output_for_mask=True)
    theirs, ours = build(keras_library()), build(OURS)
    assert_same_config(ours.get_config(), without_automatic_names(theirs.get_config()))
    assert_config_round_trip(ours)
    assert_config_round_trip(ours.cell)


def without_automatic_names(config: Any) -> Any:
    """The config without names that Keras counted up, which go on from test to test."""
    if isinstance(config, dict):
        return {
            key: without_automatic_names(value)
            for key, value in config.items()
            if not (key == "name" and str(value).startswith("stacked_rnn_cells"))
        }
    return config


# State that goes on.


def reset(layer: Any) -> None:
    """Keras' ``RNN.reset_state`` fails on a list of cells: it assigns to the lists in it."""
    tree = require("keras").tree
    for variable in tree.flatten(layer.states):
        variable.assign(np.zeros(variable.shape))


@pytest.mark.parametrize("form", ["cell", "list", "stacked"])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_stateful_layers_go_on_where_they_were_until_reset(form, go_backwards, rng):
    cells = [{"units": 3}, {"units": 4, "activation": "relu"}]
    run = {"stateful": True, "return_sequences": True, "return_state": True}
    with library_dtype("float64"):
        build = rnn(cells, form, go_backwards=go_backwards, **run)
        theirs, ours = twin_layers(build, rng, (2, None, 3))
        assert_same_outputs(ours.states, as_lists(theirs.states), ulps=0)
        x, mask = rng.normal(size=(2, 6, 3)), make_mask("scattered", 2, 6, rng)
        for n in range(3):
            part = np.s_[:, 2 * n : 2 * n + 2]
            assert_same_outputs(ours(x[part], mask=mask[part]), theirs(x[part], mask=mask[part]))
            assert_same_outputs(ours.states, as_lists(theirs.states))
        # A state that is given is where it goes on from, then and later.
        state = random_state(ours, 2, rng, "float64")
        for given_state in (state, None):
            got, expected = (layer(x, initial_state=given_state) for layer in (ours, theirs))
            assert_same_outputs(got, expected)
        ours.reset_state()
        reset(theirs)
        assert_same_outputs(ours.states, as_lists(theirs.states), ulps=0)
        assert_same_outputs(ours(x), theirs(x))
        assert_same_gradients(theirs, ours, x, rng, mask)


def as_lists(states: Any) -> Any:
    """Keras' variables in plain lists of arrays."""
    nested = isinstance(states, list | tuple)
    return [as_lists(s) for s in states] if nested else np.asarray(states.value)


def test_keras_cannot_reset_a_list_of_cells():
    """Where that changes, the way around it in this file can go."""
    layers = keras_library().layers
    layer = layers.RNN([layers.LSTMCell(2), layers.LSTMCell(2)], stateful=True)
    layer.build((1, None, 1))
    with pytest.raises(AttributeError, match="assign"):
        layer.reset_state()


def test_what_a_caller_does_with_states_leaves_the_layer_alone(rng):
    layer = RNN([LSTMCell(3), LSTMCell(2)], stateful=True, return_state=True)
    x = rng.normal(size=(2, 4, 3))
    assert layer.states is None
    _, first, _ = layer(x)
    kept = [[s.copy() for s in pair] for pair in layer.states]
    first[0][:] = 7
    assert_same_outputs(layer.states, kept, ulps=0)
    assert RNN(LSTMCell(3)).states is None


# Edges.


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize(("B", "T"), [(0, 5), (2, 0), (0, 0)])
def test_no_rows_and_no_steps_give_empty_results_or_zeros(B, T, return_sequences):
    layer = RNN([LSTMCell(4), LSTMCell(3)], return_sequences=return_sequences, return_state=True)
    y, first, second = layer(np.zeros((B, T, 2)))
    assert y.shape == ((B, T, 3) if return_sequences else (B, 3))
    assert not y.any()
    assert [s.shape for s in (*first, *second)] == [(B, 4)] * 2 + [(B, 3)] * 2
    for mask in (None, np.ones((B, T), bool)):
        y, cache = layer.forward(np.zeros((B, T, 2), "float32"), mask, keep_cache=True)
        d_x, gradients = layer.backward(np.ones_like(y), cache)
        assert d_x.shape == (B, T, 2)
        assert next(iter(gradients)).startswith("lstm_cell_1/")
        assert {n: g.shape for n, g in gradients.items()} == {
            n: w.shape for n, w in layer.params.items()
        }


def test_nan_in_masked_steps_goes_nowhere(rng):
    layer = RNN([LSTMCell(4), LSTMCell(3)], return_sequences=True)
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    mask = np.array([[True, True, False, True, False]] * 2)
    clean = layer(x, mask=mask)
    x[~mask] = np.nan
    np.testing.assert_array_equal(layer(x, mask=mask), clean)
    y, cache = layer.forward(x, mask, keep_cache=True)
    d_x, gradients = layer.backward(np.ones_like(y), cache)
    assert all(np.isfinite(g).all() for g in (d_x, *gradients.values()))


def test_a_cell_that_has_weights_keeps_them():
    cell = LSTMCell(4)
    cell.build((None, 3))
    kernel = cell.kernel
    layer = RNN(cell)
    with pytest.raises(ShapeError, match="2 features a step, and its weights were made for 3"):
        layer.build((None, None, 2))
    layer.build((None, None, 3))
    np.testing.assert_array_equal(layer.cells[0].kernel, kernel)
    stacked = StackedRNNCells([cell, LSTMCell(2)])
    RNN(stacked).build((None, None, 3))
    np.testing.assert_array_equal(stacked.get_weights()[0], kernel)
    stacked.set_weights([w + 1 for w in stacked.get_weights()])
    np.testing.assert_array_equal(layer.get_weights()[0], kernel + 1)


def test_the_dtype_is_that_of_the_cells(rng):
    x = rng.normal(size=(2, 5, 3))
    for layer in (
        RNN(LSTMCell(4, dtype="float64")),
        RNN([LSTMCell(4, dtype="float64"), LSTMCell(2, dtype="float64")]),
    ):
        assert layer.dtype == "float64"
        assert layer(x).dtype == np.float64
    sentence = r"\(RNN\) has the dtype float64, and 'lstm_cell.*' inside it float32: give both"
    with pytest.raises(UnsupportedError, match=sentence):
        RNN(LSTMCell(4), dtype="float64")(x)
    with pytest.raises(UnsupportedError, match="inside it float64"):
        RNN([LSTMCell(4), LSTMCell(4, dtype="float64")])(x)


def test_setting_trainable_sets_it_inside():
    cells = [LSTMCell(3), LSTMCell(2)]
    model = Sequential([Input((5, 2)), RNN(cells), Dense(1)])
    cells[0].trainable = False
    assert len(model.trainable_weights) == 5
    model.layers[0].trainable = True
    assert cells[0].trainable
    assert len(model.trainable_weights) == 8
    model.layers[0].trainable = False
    assert not any(cell.trainable for cell in cells)
    # Keras trains the cells of RNN(..., trainable=False); here nothing in it is trained.
    x = np.zeros((1, 2, 3), "float32")
    for frozen in (
        RNN([LSTMCell(3)], trainable=False),
        RNN(StackedRNNCells([LSTMCell(3)], trainable=False)),
        RNN(LSTMCell(3, trainable=False)),
    ):
        frozen(x)
        assert frozen.trainable_names == []
        assert type(frozen).from_config(frozen.get_config()).get_config() == frozen.get_config()


# Sentences.


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: RNN(LSTM(3)),
            TypeError,
            "RNN and StackedRNNCells run LSTMCell objects, and <LSTM",
        ),
        (lambda: RNN("lstm"), TypeError, "and 'lstm' came: other cells are not supported"),
        (lambda: RNN([LSTMCell(3), Dense(2)]), TypeError, "run LSTMCell objects, and <Dense"),
        (lambda: RNN([]), ValueError, "StackedRNNCells([]): at least one cell is needed"),
        (
            lambda: RNN([LSTMCell(3, name="a"), LSTMCell(2, name="a")]),
            ValueError,
            "cells on top of each other need names of their own, not ['a', 'a']",
        ),
        (
            lambda: LSTMCell(3, activity_regularizer="l2"),
            UnsupportedError,
            "penalized by the RNN around it, RNN(cell, activity_regularizer=...)",
        ),
        (
            lambda: StackedRNNCells([LSTMCell(3)], activity_regularizer="l2"),
            UnsupportedError,
            "StackedRNNCells(activity_regularizer=...): a cell's outputs are penalized by the RNN",
        ),
        (lambda: LSTMCell(3, implementation=3), ValueError, "LSTM(implementation=3): 1 or 2"),
        (lambda: LSTMCell(0), ValueError, "LSTMCell(units=0): a positive whole number is needed"),
        (lambda: LSTMCell(3, name="a/b"), ValueError, "the name of a layer has no '/'"),
        (lambda: RNN(LSTMCell(3), speed=1), UnsupportedError, "RNN(speed=...): there is no such"),
        (
            lambda: Sequential([LSTMCell(3, name="step")]),
            UnsupportedError,
            "'step' is a cell, which computes one time step from a state: RNN(cell) makes a layer",
        ),
        (
            lambda: Sequential([StackedRNNCells([LSTMCell(3)], name="steps")]),
            UnsupportedError,
            "'steps' is a cell",
        ),
        (
            lambda: Sequential([RNN([LSTMCell(3), LSTMCell(2)], return_state=True, name="r")]),
            UnsupportedError,
            "layer 'r' has return_state=True, so it gives 5 arrays, and a Sequential passes one on",
        ),
        (lambda: RNN.from_config({"name": "a"}), ModelFormatError, "None describes no layer"),
        (lambda: RNN.from_config({"cell": 3}), ModelFormatError, "3 describes no layer"),
        (
            lambda: RNN.from_config({"cell": {"class_name": "GRUCell", "config": {}}}),
            UnsupportedError,
            "the layer 'GRUCell' is not supported: there are",
        ),
        (lambda: StackedRNNCells.from_config({}), ValueError, "at least one cell is needed"),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        call()


X = np.zeros((2, 4, 3), "float32")
STATE = [np.zeros((2, 5))] * 2


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: RNN(LSTMCell(5), name="r")(X, initial_state=STATE * 2),
            (
                "the initial state holds 4 arrays or pairs, and layer 'r' begins from 2: [h0, c0], "
                "each (batch, units)"
            ),
        ),
        (
            lambda: RNN(LSTMCell(5), name="r")(X, initial_state=0),
            "the initial state is 0, and layer 'r' begins from 2",
        ),
        (
            lambda: RNN([LSTMCell(5), LSTMCell(5)], name="r")(X, initial_state=[STATE]),
            (
                "the initial state holds 1 arrays or pairs, and layer 'r' begins from 2: "
                "[[h0, c0], ...], one pair for each cell"
            ),
        ),
        (
            lambda: RNN([LSTMCell(5)], name="r")(X, initial_state=[STATE[:1]]),
            "holds 1 arrays or pairs, and each cell of 'r' begins from 2: [h0, c0]",
        ),
        (
            lambda: RNN([LSTMCell(5), LSTMCell(4)])(X, initial_state=[STATE, STATE]),
            "h0 has shape (2, 5), and (2, 4) is needed",
        ),
        (
            lambda: LSTMCell(5, name="c")(X[:, 0], STATE[:1]),
            "the initial state holds 1 arrays or pairs, and cell 'c' begins from 2",
        ),
        (
            lambda: StackedRNNCells([LSTMCell(5)], name="s")(X[:, 0], STATE),
            "holds 2 arrays or pairs, and 's' begins from 1: [[h, c], ...], one pair for each cell",
        ),
        (
            lambda: LSTMCell(5, name="c")(X, STATE),
            "cell 'c' (LSTMCell) got an input of shape (2, 4, 3), and reads one time step",
        ),
        (
            lambda: LSTMCell(5).build((None, None)),
            "the number of features, the last axis, must be known",
        ),
        (
            lambda: RNN(LSTMCell(5), name="r")(X[0]),
            "layer 'r' (RNN) got an input of shape (4, 3): an LSTM reads (batch, time, features)",
        ),
        (
            lambda: RNN(LSTMCell(5), stateful=True).build((None, 4, 3)),
            "is stateful, so its batch size must be known",
        ),
        (
            lambda: RNN(LSTMCell(5))(X, mask=np.ones((2, 3))),
            "mask has shape (2, 3), and (2, 4) is needed",
        ),
    ],
)
def test_wrong_shapes_are_told_what_was_needed(call, sentence):
    with pytest.raises(ShapeError, match=re.escape(sentence)):
        call()


def test_another_feature_count_is_named():
    cell = LSTMCell(4, name="step")
    cell.build((None, 3))
    with pytest.raises(ShapeError, match=r"'step' \(LSTMCell\) got .* weights were made for 3"):
        cell(np.zeros((2, 5)), [np.zeros((2, 4))] * 2)


def test_a_stateful_layer_needs_one_batch_size():
    layer = RNN([LSTMCell(4), LSTMCell(2)], stateful=True)
    layer(np.zeros((2, 5, 3)))
    with pytest.raises(ShapeError, match=r"batches of 2 rows, and one of 3 rows came"):
        layer(np.zeros((3, 5, 3)))
