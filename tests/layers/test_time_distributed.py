"""TimeDistributed against Keras: layers of every kind, inputs of 3 to 5 axes, masks; sentences."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref import Sequential
from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.layers import (
    LSTM,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Input,
    LSTMCell,
    Masking,
    RepeatVector,
    TimeDistributed,
)
from lstm_ref.layers.carried_mask import carried_mask
from tests.cases import MASKS, make_mask
from tests.keras_peer import Library, assert_close, library_dtype
from tests.layers.twin_layers import (
    assert_config_round_trip,
    assert_same_config,
    assert_same_gradients,
    assert_same_masks,
    assert_same_outputs,
    twin_layers,
)

KINDS: dict[str, tuple[Any, int]] = {
    # name: (the layer inside, how many axes of a step it reads)
    "dense": (lambda lib: lib.layers.Dense(3, "tanh", name="in"), 1),
    "dense on 2 axes": (lambda lib: lib.layers.Dense(3, name="in"), 2),
    "dense on 3 axes": (lambda lib: lib.layers.Dense(2, name="in"), 3),
    "activation": (lambda lib: lib.layers.Activation("softsign", name="in"), 1),
    "activation on 3 axes": (lambda lib: lib.layers.Activation("relu", name="in"), 3),
    "dropout": (lambda lib: lib.layers.Dropout(0.5, name="in"), 1),
    "repeat": (lambda lib: lib.layers.RepeatVector(2, name="in"), 1),
    "masking": (lambda lib: lib.layers.Masking(name="in"), 2),
    "lstm": (lambda lib: lib.layers.LSTM(4, name="in"), 2),
    "lstm sequences": (lambda lib: lib.layers.LSTM(3, return_sequences=True, name="in"), 2),
    "bidirectional": (
        lambda lib: lib.layers.Bidirectional(
            lib.layers.LSTM(2, return_sequences=True, name="r"), "sum", name="in"
        ),
        2,
    ),
    "time distributed": (
        lambda lib: lib.layers.TimeDistributed(lib.layers.Dense(2, name="d"), name="in"),
        2,
    ),
}
READS_MASKS = ("lstm", "lstm sequences", "bidirectional", "time distributed")

CASES = {
    "seed": st.integers(0, 2**32 - 1),
    "kind": st.sampled_from(sorted(KINDS)),
    "sizes": st.tuples(*[st.integers(1, 4)] * 5),
    "mask": st.sampled_from(MASKS),
}


def wrapped(kind: str):
    def build(lib: Library) -> Any:
        return lib.layers.TimeDistributed(KINDS[kind][0](lib), name="each")

    return build


def check(dtype: str, seed: int, kind: str, sizes: tuple[int, ...], mask: str) -> None:
    rng = np.random.default_rng(seed)
    shape = sizes[: 2 + KINDS[kind][1]]
    with library_dtype(dtype):
        theirs, ours = twin_layers(wrapped(kind), rng, (None, None, *shape[2:]))
        x = rng.normal(size=shape).astype(dtype)
        # A layer that reads sequences itself gets a mask of its own steps, [B,T,S]: Keras fails on
        # one without them.
        steps = 3 if kind in READS_MASKS else 2
        m = make_mask(mask, shape[0], int(np.prod(shape[1:steps])), rng)
        m = None if m is None else m.reshape(shape[:steps])
        got, expected = (layer(x, **({} if m is None else {"mask": m})) for layer in (ours, theirs))
        assert_same_outputs(got, expected)
        if not (kind == "lstm" and m is not None):
            assert_same_masks(got, expected)
        for known in (shape, (None, *shape[1:]), (None, None, *shape[2:])):
            assert ours.compute_output_shape(known) == theirs.compute_output_shape(known)
        assert_same_gradients(theirs, ours, x, rng, m)


@settings(max_examples=80)
@given(**CASES)
def test_every_layer_equals_keras(seed, kind, sizes, mask):
    check("float64", seed, kind, sizes, mask)


@settings(max_examples=20)
@given(**CASES)
def test_in_float32_too(seed, kind, sizes, mask):
    check("float32", seed, kind, sizes, mask)


def test_dense_is_applied_at_every_step_anyway(rng):
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    dense = Dense(4)
    np.testing.assert_array_equal(TimeDistributed(dense)(x), dense(x))


def test_numbers_may_be_embedded_at_every_step(rng):
    def build(lib: Library) -> Any:
        return lib.layers.TimeDistributed(lib.layers.Embedding(7, 3, mask_zero=True))

    with library_dtype("float64"):
        theirs, ours = twin_layers(build, rng, (None, 4, 5))
        x = rng.integers(0, 7, size=(2, 4, 5))
        got, expected = ours(x), theirs(x)
        assert_same_outputs(got, expected)
        assert_same_masks(got, expected)
        assert_same_gradients(theirs, ours, x, rng)


# Masks with the layer's own steps.


def test_a_mask_of_steps_in_steps_reaches_the_layer_and_goes_on(rng):
    x = rng.normal(size=(2, 3, 4, 2)).astype("float32")
    mask = rng.random((2, 3, 4)) < 0.5
    mask[0, 1] = False
    layer = TimeDistributed(LSTM(3, return_sequences=True))
    y = layer(x, mask=mask)
    np.testing.assert_array_equal(carried_mask(y), mask)
    alone = layer.layer(x[1, 2][None], mask=mask[1, 2][None])[0]
    assert_close(np.asarray(y[1, 2]), np.asarray(alone), ulps=4)
    # Where the layer ends its steps, one that is real makes the whole step real.
    last = TimeDistributed(LSTM(3))(x, mask=mask)
    np.testing.assert_array_equal(carried_mask(last), mask.any(axis=2))
    assert not carried_mask(last)[0, 1]
    np.testing.assert_array_equal(carried_mask(TimeDistributed(Dense(2))(x, mask=mask)), mask)
    repeated = TimeDistributed(TimeDistributed(RepeatVector(2)))(x, mask=mask)
    np.testing.assert_array_equal(carried_mask(repeated), mask)


def test_a_mask_of_steps_alone_passes_by_the_layer(rng):
    """Keras fails where the layer could have read it."""
    x = rng.normal(size=(2, 3, 4, 2)).astype("float32")
    mask = np.array([[True, True, False], [False, True, True]])
    layer = TimeDistributed(LSTM(3))
    y = layer(x, mask=mask)
    assert carried_mask(y) is mask
    np.testing.assert_array_equal(y, layer(x))


def test_sentences_of_words_are_read_and_learned(rng):
    """Keras fails in the LSTM that reads the steps: its mask still has the axis of the words."""
    x = rng.normal(size=(4, 3, 5, 2)).astype("float32")
    x[0, 2] = 0  # no third sentence
    x[1, :, 3:] = 0  # sentences of three words
    model = Sequential(
        [
            Input((None, None, 2)),
            Masking(),
            TimeDistributed(LSTM(4)),
            LSTM(3, return_sequences=True),
            Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    short = model.predict(x[:1, :2], verbose=0)
    np.testing.assert_allclose(model.predict(x[:1], verbose=0)[:, :2], short, atol=1e-6)
    words = model.predict(x[1:2, :, :3], verbose=0)
    np.testing.assert_allclose(model.predict(x[1:2], verbose=0), words, atol=1e-6)
    y = np.zeros((4, 3, 1), "float32")
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert losses[2] < losses[0]
    y[0, 2] = 1e6  # a step that does not exist does not count
    assert model.evaluate(x, y, verbose=0) < 1e6


# Dropout.


def test_each_step_drops_anew(rng):
    x = np.ones((3, 200, 4), "float32")
    y = TimeDistributed(Dropout(0.5, seed=1))(x, training=True)
    assert np.any(y[:, 0] != y[:, 1])
    assert abs(np.mean(y == 0) - 0.5) < 0.05
    of_lstm = TimeDistributed(LSTM(2, dropout=0.5, seed=1))
    same = np.ones((1, 6, 3, 4), "float32")
    assert len(np.unique(of_lstm(same, training=True)[0], axis=0)) > 1
    np.testing.assert_array_equal(of_lstm(same)[0, 0], of_lstm(same)[0, 1])


def test_noise_may_have_a_shape_within_a_step():
    x = np.ones((3, 4, 5, 2), "float32")
    y = TimeDistributed(Dropout(0.5, noise_shape=(None, 1, None), seed=1))(x, training=True)
    assert np.all(y == y[:, :, :1])
    with pytest.raises(UnsupportedError, match=r"noise_shape=\(1, None\) begins with the batch"):
        TimeDistributed(Dropout(0.5, noise_shape=(1, None)))


# Weights and configs.


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_weights_and_configs_are_keras(kind, rng):
    axes = KINDS[kind][1]
    theirs, ours = twin_layers(wrapped(kind), rng, (None, None, *[3] * axes))
    assert [w.name for w in theirs.weights] == [name.split("/")[-1] for name in ours.params]
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_same_config(ours.get_config(), theirs.get_config())
    assert_config_round_trip(ours)


def test_the_dtype_is_that_of_the_layer(rng):
    x = rng.normal(size=(2, 3, 4))
    each = TimeDistributed(Dense(2, dtype="float64"))
    assert (each.dtype, each(x).dtype) == ("float64", np.float64)
    with pytest.raises(UnsupportedError, match="dtype float64, and 'dense_1' inside it float32"):
        TimeDistributed(Dense(2), dtype="float64")(x)


@pytest.mark.parametrize(("B", "T"), [(0, 3), (2, 0)])
def test_no_rows_and_no_steps_give_nothing(B, T):
    layer = TimeDistributed(Dense(2))
    x = np.zeros((B, T, 3), "float32")
    y, cache = layer.forward(layer.read(x), np.ones((B, T), bool), keep_cache=True)
    assert y.shape == (B, T, 2)
    d_x, gradients = layer.backward(y, cache)
    assert d_x.shape == x.shape
    assert not gradients["kernel"].any()


def test_the_activity_of_the_whole_is_penalized_per_row(rng):
    layer = TimeDistributed(Dense(2), activity_regularizer="l2")
    x = rng.normal(size=(3, 4, 5)).astype("float32")
    y, cache = layer.forward(layer.read(x), keep_cache=True)
    assert_close(
        np.float32(layer.activity_penalty(y, cache)), np.float32(0.01 * np.sum(y * y) / 3), ulps=4
    )


# Sentences.


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: TimeDistributed("dense"), TypeError, "a layer of lstm_ref, and 'dense' came"),
        (lambda: TimeDistributed(LSTMCell(3)), TypeError, "and <LSTMCell"),
        (lambda: TimeDistributed(Input((3,))), TypeError, "and <InputLayer"),
        (
            lambda: TimeDistributed(LSTM(3, stateful=True, name="s")),
            UnsupportedError,
            "TimeDistributed('s'): a layer that is stateful or gives several arrays",
        ),
        (
            lambda: TimeDistributed(LSTM(3, return_state=True)),
            UnsupportedError,
            "stateful or gives several arrays",
        ),
        (
            lambda: TimeDistributed(Bidirectional(LSTM(3), merge_mode=None)),
            UnsupportedError,
            "stateful or gives several arrays",
        ),
        (
            lambda: TimeDistributed(Dense(3, activity_regularizer="l2", name="d")),
            UnsupportedError,
            (
                "TimeDistributed('d'): an activity_regularizer of the layer inside is not "
                "supported, and Keras leaves it out: give it to TimeDistributed itself"
            ),
        ),
        (
            lambda: TimeDistributed(Bidirectional(LSTM(3, activity_regularizer="l2"))),
            UnsupportedError,
            "an activity_regularizer of the layer inside",
        ),
        (
            lambda: TimeDistributed(Dense(3), mask=1),
            UnsupportedError,
            "TimeDistributed(mask=...): there is no such argument here",
        ),
        (lambda: TimeDistributed.from_config({}), ModelFormatError, "None describes no layer"),
        (
            lambda: TimeDistributed(Dense(3), name="t")(np.zeros((2, 3))),
            ShapeError,
            (
                "layer 't' (TimeDistributed) got an input of shape (2, 3), and reads (batch, time, "
                "...); for one feature per step use x[..., None]"
            ),
        ),
        (
            lambda: TimeDistributed(LSTM(3), name="t")(np.zeros((2, 3, 4))),
            ShapeError,
            "got an input of shape (2, 4): an LSTM reads (batch, time, features)",
        ),
        (
            lambda: TimeDistributed(Dense(3), name="t")(np.zeros((2, 3, 4)), mask=np.ones((2, 4))),
            ShapeError,
            (
                "layer 't' (TimeDistributed) got a mask of shape (2, 4) for an input of shape "
                "(2, 3, 4): the first two axes, batch and time, must be the same"
            ),
        ),
        (
            lambda: TimeDistributed(Embedding(5, 2))(np.full((1, 2, 3), 7)),
            ValueError,
            "got the number 7 at (0, 0), and has rows for 0 to 4",
        ),
        (
            lambda: TimeDistributed(Activation("tahn")),
            ValueError,
            "unknown activation 'tahn'",
        ),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        call()
