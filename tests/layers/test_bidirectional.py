"""Bidirectional against Keras: joining, masks, states, weights, gradients, configs; sentences."""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref import Sequential
from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.layers import LSTM, RNN, Bidirectional, Dense, LSTMCell
from lstm_ref.layers.carried_mask import carried_mask
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

SMALL = st.integers(1, 6)
UNITS = st.one_of(SMALL, SMALL, SMALL, st.integers(7, 40))
MERGES = ["concat", "sum", "mul", "ave", None]

CASES = {
    "seed": st.integers(0, 2**32 - 1),
    "sizes": st.tuples(st.integers(1, 4), st.integers(1, 7), UNITS, UNITS),
    "inside": st.sampled_from(["lstm", "cell", "list"]),
    "backward": st.sampled_from(["made", "given", "forward reads backwards"]),
    "merge_mode": st.sampled_from(MERGES),
    "mask": st.sampled_from(MASKS),
    "run": st.fixed_dictionaries(
        {"return_sequences": st.booleans(), "return_state": st.booleans()}
    ),
    "activation": st.sampled_from(["tanh", "relu", "softsign"]),
    "given_state": st.booleans(),
}


def recurrent(lib: Library, inside: str, units: int, activation: str, name: str, **run: Any) -> Any:
    """An LSTM, or an RNN over one cell or two."""
    layers = lib.layers
    if inside == "lstm":
        return layers.LSTM(units, activation=activation, name=name, **run)
    cells = [
        layers.LSTMCell(units + n, activation=activation, name=f"cell_{n}")
        for n in ((0,) if inside == "cell" else (1, 0))
    ]
    return layers.RNN(cells[0] if inside == "cell" else cells, name=name, **run)


def both_ways(inside: str, backward: str, merge_mode: str | None, H: int, act: str, **run: Any):
    """A builder of ``Bidirectional``."""

    def build(lib: Library) -> Any:
        turned = backward == "forward reads backwards"
        layer = recurrent(lib, inside, H, act, "reader", go_backwards=turned, **run)
        given = None
        if backward != "made":
            given = recurrent(lib, inside, H, "sigmoid", "other", go_backwards=not turned, **run)
        return lib.layers.Bidirectional(layer, merge_mode, backward_layer=given, name="both")

    return build


def check(
    dtype, seed, sizes, inside, backward, merge_mode, mask, run, activation, given_state
) -> None:
    """Outputs, states, masks, shapes and gradients of one configuration."""
    rng = np.random.default_rng(seed)
    B, T, D, H = sizes
    with library_dtype(dtype):
        build = both_ways(inside, backward, merge_mode, H, activation, **run)
        theirs, ours = twin_layers(build, rng, (None, None, D))
        x = rng.normal(size=(B, T, D)).astype(dtype)
        m = make_mask(mask, B, T, rng)
        state = None
        if given_state:
            pairs = [
                [rng.normal(size=(B, cell.units)).astype(dtype) for _ in range(2)]
                for direction in ours.directions
                for cell in direction.cells
            ]
            state = pairs if inside == "list" else [*pairs[0], *pairs[1]]
        got, expected = (layer(x, initial_state=state, mask=m) for layer in (ours, theirs))
        assert_same_outputs(got, expected)
        assert_same_masks(got, expected)
        for shape in ((B, T, D), (None, None, D)):
            assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape)
        assert_same_gradients(theirs, ours, x, rng, m)


@settings(max_examples=110)
@given(**CASES)
def test_every_configuration_equals_keras(
    seed, sizes, inside, backward, merge_mode, mask, run, activation, given_state
):
    check(
        *("float64", seed, sizes, inside, backward, merge_mode),
        *(mask, run, activation, given_state),
    )


@settings(max_examples=25)
@given(**CASES)
def test_in_float32_too(
    seed, sizes, inside, backward, merge_mode, mask, run, activation, given_state
):
    check(
        *("float32", seed, sizes, inside, backward, merge_mode),
        *(mask, run, activation, given_state),
    )


def test_what_it_computes_is_two_lstms(rng):
    """Written out: the second LSTM reads backwards, and its outputs are turned round."""
    x = rng.normal(size=(2, 5, 3))
    both = Bidirectional(LSTM(4, return_sequences=True, dtype="float64"))
    y = both(x)
    there = both.forward_layer(x)
    back = both.backward_layer(x)[:, ::-1]
    np.testing.assert_array_equal(y, np.concatenate([there, back], axis=2))
    assert (both.forward_layer.go_backwards, both.backward_layer.go_backwards) == (False, True)


def test_directions_of_different_sizes_stand_side_by_side(rng):
    """Keras computes the same, and says of its shape that it is twice the forward layer's."""

    def build(lib: Library) -> Any:
        layers = lib.layers
        other = layers.LSTM(2, return_sequences=True, return_state=True, go_backwards=True)
        first = layers.LSTM(5, return_sequences=True, return_state=True)
        return layers.Bidirectional(first, backward_layer=other)

    with library_dtype("float64"):
        theirs, ours = twin_layers(build, rng, (None, None, 3))
        x = rng.normal(size=(2, 4, 3))
        got = ours(x)
        assert_same_outputs(got, theirs(x))
    assert ours.compute_output_shape((2, 4, 3)) == tuple(y.shape for y in got)
    assert ours.compute_output_shape((2, 4, 3))[0] == (2, 4, 7)


# State.


def reset(layer: Any) -> None:
    """Keras' ``reset_state`` fails on lists of cells, see ``test_rnn``."""
    for variable in flat(layer.states):
        variable.assign(np.zeros(variable.shape))


def flat(states: Any) -> list[Any]:
    nested = isinstance(states, list | tuple)
    return [one for s in states for one in flat(s)] if nested else [states]


@pytest.mark.parametrize("inside", ["lstm", "cell", "list"])
def test_stateful_directions_go_on_where_they_were_until_reset(inside, rng):
    run = {"stateful": True, "return_sequences": True}
    with library_dtype("float64"):
        build = both_ways(inside, "made", "concat", 3, "tanh", **run)
        theirs, ours = twin_layers(build, rng, (2, None, 3))
        x, mask = rng.normal(size=(2, 6, 3)), make_mask("scattered", 2, 6, rng)
        for n in range(3):
            for got, expected in zip(flat(ours.states), flat(theirs.states), strict=True):
                assert_close(got, np.asarray(expected.value), ulps=12)
            part = np.s_[:, 2 * n : 2 * n + 2]
            assert_same_outputs(ours(x[part], mask=mask[part]), theirs(x[part], mask=mask[part]))
        ours.reset_states()
        reset(theirs)
        assert not any(s.any() for s in flat(ours.states))
        assert_same_outputs(ours(x), theirs(x))
        assert_same_gradients(theirs, ours, x, rng, mask)


def test_stateful_layers_give_their_states(rng):
    """Keras fails here, in its ``compute_mask``."""
    layer = Bidirectional(LSTM(3, stateful=True, return_state=True))
    assert layer.states is None
    x = rng.normal(size=(2, 4, 3)).astype("float32")
    y, *states = layer(x)
    assert_same_outputs(tuple(states), layer.states, ulps=0)
    before = layer.forward_layer.states
    layer(x)
    assert np.any(layer.forward_layer.states[0] != before[0])
    assert y.shape == (2, 6)
    assert Bidirectional(LSTM(3)).states is None


# Weights and configs.


@pytest.mark.parametrize("inside", ["lstm", "cell", "list"])
def test_weights_have_the_order_of_keras(inside):
    """The forward layer's, then the backward layer's; also when a part is frozen."""
    build = both_ways(inside, "made", "concat", 3, "tanh")
    theirs, ours = twin_layers(build, np.random.default_rng(0), (None, None, 2))
    keras_names = [w.path.replace("/lstm_cell", "").split("/") for w in theirs.weights]
    for name, path in zip(ours.params, keras_names, strict=True):
        assert name.split("/")[0] == path[1]
        assert name.split("/")[-1] == path[-1]
    for frozen in (False, True):
        for layer in (theirs, ours):
            layer.forward_layer.trainable = not frozen
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        for ours_of, theirs_of in (
            (ours.trainable_weights, theirs.trainable_weights),
            (ours.non_trainable_weights, theirs.non_trainable_weights),
        ):
            assert [w.shape for w in ours_of] == [tuple(w.shape) for w in theirs_of]


def test_weights_may_come_with_the_layer(rng):
    """Keras 3.15 takes the argument and forgets it: it begins from random weights all the same."""
    first = Bidirectional(LSTM(4))
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    y = first(x)
    second = Bidirectional(LSTM(4), weights=first.get_weights())
    np.testing.assert_array_equal(second(x), y)
    with pytest.raises(ShapeError, match="takes 6 arrays, and 3 came"):
        Bidirectional(LSTM(4), weights=first.get_weights()[:3])(x)
    assert "weights" not in second.get_config()


def test_defaults_and_argument_order_are_those_of_keras():
    theirs = inspect.signature(keras_library().layers.Bidirectional.__init__).parameters
    ours = inspect.signature(Bidirectional.__init__).parameters
    positional = [n for n, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD] == positional
    assert [ours[n].default for n in positional] == [theirs[n].default for n in positional]


@pytest.mark.parametrize("inside", ["lstm", "cell"])
@pytest.mark.parametrize("backward", ["made", "given", "forward reads backwards"])
def test_configs_hold_keras_values_and_make_the_same_layer_again(inside, backward, rng):
    build = both_ways(inside, backward, "ave", 3, "relu", return_sequences=True)
    theirs, ours = build(keras_library()), build(OURS)
    assert_same_config(ours.get_config(), theirs.get_config())
    assert_config_round_trip(ours)
    again = Bidirectional.from_config(ours.get_config())
    x = rng.normal(size=(2, 4, 3)).astype("float32")
    y = ours(x)
    again.build(x.shape)
    again.set_weights(ours.get_weights())
    np.testing.assert_array_equal(again(x), y)


def test_the_layer_given_is_copied_and_the_backward_layer_used():
    layer, other = LSTM(4, name="forward_a"), LSTM(4, go_backwards=True)
    both = Bidirectional(layer, backward_layer=other)
    assert both.forward_layer is not layer
    assert both.forward_layer.name == "forward_a"
    assert both.backward_layer is other
    assert [d.name for d in Bidirectional(layer).directions] == ["forward_a", "backward_forward_a"]


def test_the_dtype_is_that_of_the_layers(rng):
    x = rng.normal(size=(2, 4, 3))
    both = Bidirectional(LSTM(4, dtype="float64"))
    assert (both.dtype, both(x).dtype) == ("float64", np.float64)
    with pytest.raises(UnsupportedError, match="'forward_lstm_1' inside it float32: give both"):
        Bidirectional(LSTM(4), dtype="float64")(x)
    other = LSTM(4, go_backwards=True, dtype="float64")
    with pytest.raises(UnsupportedError, match="inside it float64: give both"):
        Bidirectional(LSTM(4), backward_layer=other)(x)


# Edges.


@pytest.mark.parametrize("merge_mode", MERGES)
@pytest.mark.parametrize(("B", "T"), [(0, 5), (2, 0)])
def test_no_rows_and_no_steps_give_empty_results_or_zeros(B, T, merge_mode):
    for return_sequences in (True, False):
        layer = Bidirectional(LSTM(4, return_sequences=return_sequences), merge_mode)
        x = np.zeros((B, T, 3), "float32")
        y, cache = layer.forward(layer.read(x), keep_cache=True)
        shapes = layer.compute_output_shape(x.shape)
        assert (y.shape if merge_mode else tuple(v.shape for v in y)) == shapes
        upstream = np.ones_like(y) if merge_mode else tuple(np.ones_like(v) for v in y)
        d_x, gradients = layer.backward(upstream, cache)
        assert d_x.shape == x.shape
        assert set(gradients) == set(layer.params)


def test_nan_in_masked_steps_goes_nowhere(rng):
    layer = Bidirectional(LSTM(4, return_sequences=True))
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    mask = np.array([[True, True, False, True, False]] * 2)
    clean = layer(x, mask=mask)
    assert not clean[~mask].any()  # zero at masked steps, so that both directions agree on them
    x[~mask] = np.nan
    y = layer(x, mask=mask)
    np.testing.assert_array_equal(y, clean)
    assert carried_mask(y) is mask


# Sentences.


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: Bidirectional(LSTM(3), merge_mode="avg"),
            ValueError,
            "Bidirectional(merge_mode='avg'): one of 'concat', 'sum', 'mul', 'ave' or None",
        ),
        (
            lambda: Bidirectional(Dense(3)),
            TypeError,
            "runs an LSTM or an RNN both ways, and <Dense",
        ),
        (lambda: Bidirectional(LSTMCell(3)), TypeError, "both ways, and <LSTMCell"),
        (lambda: Bidirectional("lstm"), TypeError, "both ways, and 'lstm' came"),
        (lambda: Bidirectional(LSTM(3), backward_layer=Dense(3)), TypeError, "and <Dense"),
        (
            lambda: Bidirectional(LSTM(3), backward_layer=LSTM(3)),
            ValueError,
            "both layers of a Bidirectional have go_backwards=False: one reads forwards",
        ),
        (
            lambda: Bidirectional(LSTM(3, go_backwards=True)),
            ValueError,
            "both layers of a Bidirectional have go_backwards=True",
        ),
        (
            lambda: Bidirectional(
                LSTM(3), backward_layer=LSTM(3, go_backwards=True, return_sequences=True)
            ),
            ValueError,
            "have return_sequences=False and True: both need the same",
        ),
        (
            lambda: Bidirectional(
                LSTM(3, stateful=True), backward_layer=LSTM(3, go_backwards=True)
            ),
            ValueError,
            "have stateful=True and False: both need the same",
        ),
        (
            lambda: Bidirectional(
                LSTM(3), backward_layer=LSTM(3, go_backwards=True, return_state=True)
            ),
            ValueError,
            "have return_state=False and True: both need the same",
        ),
        (
            lambda: Bidirectional(
                LSTM(3, name="a"), backward_layer=LSTM(3, go_backwards=True, name="forward_a")
            ),
            ValueError,
            "both layers of a Bidirectional are named 'forward_a'",
        ),
        (
            lambda: Bidirectional(LSTM(1), "sum", backward_layer=LSTM(4, go_backwards=True)),
            ValueError,
            (
                "Bidirectional(merge_mode='sum') joins the outputs unit by unit, and the "
                "layers have 1 and 4 units: give both the same, or use merge_mode='concat'"
            ),
        ),
        (
            lambda: Bidirectional(LSTM(3), speed=1),
            UnsupportedError,
            "Bidirectional(speed=...): there is no such argument here",
        ),
        (
            lambda: Sequential([Bidirectional(LSTM(3), merge_mode=None, name="b")]),
            UnsupportedError,
            "layer 'b' has merge_mode=None, so it gives 2 arrays, and a Sequential passes one on",
        ),
        (
            lambda: Sequential([Bidirectional(LSTM(3, return_state=True), name="b")]),
            UnsupportedError,
            "layer 'b' has return_state=True, so it gives 5 arrays",
        ),
        (lambda: Bidirectional.from_config({"name": "b"}), ModelFormatError, "and None came"),
        (
            lambda: Bidirectional.from_config({"layer": 3}),
            ModelFormatError,
            "3 describes no layer",
        ),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        call()


X = np.zeros((2, 4, 3), "float32")
STATE = [np.zeros((2, 5))] * 2


@pytest.mark.parametrize(
    ("layer", "state", "sentence"),
    [
        (
            lambda: Bidirectional(LSTM(5), name="b"),
            STATE,
            (
                "the initial state holds 2 arrays or pairs, and layer 'b' begins from 4: that of "
                "the forward layer, then that of the backward layer: [h0, c0, h0, c0] for two LSTMs"
            ),
        ),
        (lambda: Bidirectional(LSTM(5), name="b"), 0, "the initial state is 0, and layer 'b'"),
        (
            lambda: Bidirectional(RNN([LSTMCell(5), LSTMCell(5)]), name="b"),
            [STATE, STATE],
            "holds 2 arrays or pairs, and layer 'b' begins from 4",
        ),
        (
            lambda: Bidirectional(LSTM(4)),
            STATE * 2,
            "h0 has shape (2, 5), and (2, 4) is needed",
        ),
    ],
)
def test_a_wrong_state_is_told_what_was_needed(layer, state, sentence):
    with pytest.raises(ShapeError, match=re.escape(sentence)):
        layer()(X, initial_state=state)


def test_wrong_inputs_are_told_by_the_directions():
    layer = Bidirectional(LSTM(4, name="reader"))
    with pytest.raises(ShapeError, match=r"layer 'forward_reader' \(LSTM\) got an input of shape"):
        layer(np.zeros((2, 3)))
    layer(X)
    with pytest.raises(ShapeError, match="2 features a step, and its weights were made for 3"):
        layer(np.zeros((2, 4, 2)))
    stateful = Bidirectional(LSTM(4, stateful=True))
    stateful(X)
    with pytest.raises(ShapeError, match="batches of 2 rows, and one of 1 rows came"):
        stateful(X[:1])
