"""Masks through whole models: who finds them, who passes them on, who reads them, who ends them.

Each model is fitted, judged and asked for predictions beside Keras', and saved and loaded.
"""

import warnings
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.layers import (
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    LSTMCell,
    Masking,
    RepeatVector,
    TimeDistributed,
)
from lstm_ref.layers.carried_mask import MaskedSteps, carried_mask, with_mask
from tests.keras_peer import OURS, Library, keras_library, library_dtype
from tests.layers.twin_layers import assert_same_masks, assert_same_outputs
from tests.layers.whole_models import (
    assert_layer_configs,
    assert_saved_and_loaded,
    train_alike,
)

N, T, D = 10, 6, 3


def measured(rng: np.random.Generator) -> np.ndarray:
    """x[N,T,D] with rows padded right, left, in the middle and wholly."""
    x = rng.normal(size=(N, T, D))
    x[1, 3:], x[3, :2], x[4, 2], x[6], x[8, 1:] = 0, 0, 0, 0, 0
    return x


def counted(rng: np.random.Generator) -> np.ndarray:
    """x[N,T] of whole numbers, 0 where padded."""
    x = rng.integers(1, 9, size=(N, T))
    x[1, 3:], x[3, :2], x[4, 2], x[6], x[8, 1:] = 0, 0, 0, 0, 0
    return x


def masking(lib: Library) -> list[Any]:
    return [lib.layers.Input((T, D)), lib.layers.Masking(name="gaps")]


def embedding(lib: Library) -> list[Any]:
    # With a penalty, because Keras squares other gradients without: see ``test_embedding``.
    words = lib.layers.Embedding(9, 4, mask_zero=True, embeddings_regularizer="l2", name="words")
    return [lib.layers.Input((T,), dtype="int32"), words]


def lstm(lib: Library, units: int, name: str, sequences: bool = True, **options: Any) -> Any:
    return lib.layers.LSTM(units, return_sequences=sequences, name=name, **options)


def cells(lib: Library, sequences: bool = True) -> Any:
    made = [lib.layers.LSTMCell(n, name=f"cell_{n}") for n in (4, 3)]
    stacked = lib.layers.StackedRNNCells(made, name="stack")
    return lib.layers.RNN(stacked, return_sequences=sequences, name="rnn")


def both(lib: Library, merge_mode: str = "concat", sequences: bool = True, n: int = 0) -> Any:
    inside = lstm(lib, 3, f"in_{n}", sequences)
    return lib.layers.Bidirectional(inside, merge_mode, name=f"both_{n}")


def each(lib: Library, layer: Any) -> Any:
    return lib.layers.TimeDistributed(layer, name=f"each_{layer.name}")


BEFORE_AND_AFTER: dict[str, Any] = {
    # name: (where the mask comes from, the layers behind)
    "lstm": (masking, lambda lib: [lstm(lib, 4, "a"), lib.layers.Dense(2, name="head")]),
    "lstm, last output": (
        masking,
        lambda lib: [lstm(lib, 4, "a"), lstm(lib, 3, "b", False), lib.layers.Dense(2, name="h")],
    ),
    "backwards": (
        masking,
        lambda lib: [
            lstm(lib, 4, "a", go_backwards=True, zero_output_for_mask=True),
            lib.layers.Dense(2, name="head"),
        ],
    ),
    "bidirectional": (masking, lambda lib: [both(lib), lib.layers.Dense(2, name="head")]),
    "two of them, last output": (
        embedding,
        lambda lib: [both(lib, "mul"), both(lib, "ave", False, 1), lib.layers.Dense(2, name="h")],
    ),
    "cells": (embedding, lambda lib: [cells(lib), lib.layers.Dense(2, name="head")]),
    "cells both ways": (
        masking,
        lambda lib: [
            lib.layers.Bidirectional(
                lib.layers.RNN(lib.layers.LSTMCell(3, name="c"), return_sequences=True, name="r"),
                "sum",
                name="both",
            ),
            cells(lib, False),
            lib.layers.Dense(2, name="head"),
        ],
    ),
    "through the small layers": (
        masking,
        lambda lib: [
            lib.layers.Dropout(0.0, name="drop"),
            lib.layers.Activation("softsign", name="act"),
            lib.layers.Dense(4, name="wide"),
            each(lib, lib.layers.Dense(3, activation="tanh", name="inside")),
            lstm(lib, 4, "a"),
            lib.layers.Activation("tanh", name="act2"),
            each(lib, lib.layers.Dense(2, name="head")),
        ],
    ),
    "encoder and decoder": (
        embedding,
        lambda lib: [
            lstm(lib, 4, "encoder", False),
            lib.layers.RepeatVector(T, name="again"),
            lstm(lib, 3, "decoder"),
            each(lib, lib.layers.Dense(2, name="head")),
        ],
    ),
}
OPTIMIZER = dict(zip(BEFORE_AND_AFTER, ["sgd", "adam", "rmsprop"] * 3, strict=True))


@pytest.mark.parametrize("name", BEFORE_AND_AFTER)
def test_a_fit_equals_keras_step_by_step(name, rng, tmp_path):
    before, after = BEFORE_AND_AFTER[name]

    def build(lib: Library) -> Any:
        return lib.models.Sequential([*before(lib), *after(lib)])

    x = measured(rng) if before is masking else counted(rng)
    with library_dtype("float64"):
        y = rng.normal(size=build(OURS).compute_output_shape(x.shape))
        theirs, ours = train_alike(build, OPTIMIZER[name], x, y, rng)
        assert_layer_configs(theirs, ours)
    assert_saved_and_loaded(ours, x, tmp_path)


def test_compiled_by_keras_too(rng):
    """`train_alike` lets Keras run eagerly; here it compiles the model, as it does by itself."""

    def build(lib: Library) -> Any:
        return lib.models.Sequential(
            [*masking(lib), both(lib), each(lib, lib.layers.Dense(2, name="head"))]
        )

    with library_dtype("float64"):
        x = measured(rng)
        train_alike(build, "adam", x, rng.normal(size=(N, T, 2)), rng, eager=False)


def test_in_float32_too(rng):
    def build(lib: Library) -> Any:
        return lib.models.Sequential([*embedding(lib), both(lib), cells(lib)])

    with library_dtype("float32"):
        x, y = counted(rng), rng.normal(size=(N, T, 3)).astype("float32")
        train_alike(build, "sgd", x, y, rng, ulps=16)


def test_stateful_layers_go_on_from_batch_to_batch(rng, tmp_path):
    """Also into the evaluation after an epoch, and from epoch to epoch, as in Keras."""

    def build(lib: Library) -> Any:
        layers = lib.layers
        return lib.models.Sequential(
            [
                layers.Input(batch_shape=(2, T, D)),
                layers.Masking(name="gaps"),
                layers.Bidirectional(
                    layers.LSTM(3, stateful=True, return_sequences=True, name="in"), name="both"
                ),
                layers.LSTM(3, stateful=True, return_sequences=True, name="over"),
                layers.Dense(2, name="head"),
            ]
        )

    with library_dtype("float64"):
        x, y = measured(rng), rng.normal(size=(N, T, 2))
        _, ours = train_alike(build, "sgd", x, y, rng, batch_size=2, epochs=2)
    assert ours.layers[1].states is not None
    assert_saved_and_loaded(ours, x, tmp_path, batch_size=2)


def test_what_else_a_file_may_hold(rng, tmp_path):
    """Layers in layers in layers, and arguments that are no plain numbers."""
    other = LSTM(3, return_sequences=True, go_backwards=True, recurrent_dropout=0.25, seed=3)
    model = lr.Sequential(
        [
            Masking(mask_value=-1.0),
            TimeDistributed(Bidirectional(LSTM(4, activity_regularizer=None), merge_mode="mul")),
            Activation(("leaky_relu", 0.1)),
            Dropout(0.5, noise_shape=(None, 1, None), seed=np.int64(2)),
            Bidirectional(
                RNN(LSTMCell(3, activation=("elu", 0.5)), return_sequences=True),
                "ave",
                backward_layer=other,
                activity_regularizer="l2",
            ),
            TimeDistributed(RepeatVector(2)),
            TimeDistributed(TimeDistributed(Dense(2, ("elu", 0.5), kernel_constraint="unit_norm"))),
        ]
    )
    x = rng.normal(size=(N, T, 5, D)).astype("float32")
    model.predict(x, verbose=0)
    assert_saved_and_loaded(model, x, tmp_path)
    again = lr.load_model(tmp_path / "model.npz")
    np.testing.assert_array_equal(again(x, training=True), model(x, training=True))


# Layer after layer, without a model.


CHAINS: dict[str, Any] = {
    "lstm": lambda lib: [lib.layers.Masking(), lib.layers.LSTM(4)],
    "sequences": lambda lib: [
        lib.layers.Masking(),
        lib.layers.LSTM(4, return_sequences=True),
        lib.layers.Dropout(0.5),
        lib.layers.Activation("tanh"),
        lib.layers.Dense(3),
        lib.layers.TimeDistributed(lib.layers.Dense(2)),
        lib.layers.Bidirectional(lib.layers.LSTM(2, return_sequences=True)),
        lib.layers.RNN([lib.layers.LSTMCell(3), lib.layers.LSTMCell(2)], return_sequences=True),
        lib.layers.LSTM(2),
        lib.layers.RepeatVector(3),
        lib.layers.LSTM(2, return_sequences=True),
    ],
    "masked again": lambda lib: [
        lib.layers.Masking(),
        lib.layers.LSTM(2, return_sequences=True, zero_output_for_mask=True),
        lib.layers.Masking(mask_value=0.0),
        lib.layers.LSTM(2),
    ],
}


@pytest.mark.parametrize("name", CHAINS)
def test_arrays_carry_their_masks_from_layer_to_layer(name, rng):
    x = measured(rng)
    with library_dtype("float64"):
        a, b = x, x
        for theirs, ours in zip(CHAINS[name](keras_library()), CHAINS[name](OURS), strict=True):
            for layer, data in ((theirs, a), (ours, b)):
                layer.build(tuple(data.shape))
            weights = [rng.normal(scale=0.4, size=w.shape) for w in ours.get_weights()]
            theirs.set_weights(weights)
            ours.set_weights(weights)
            a, b = theirs(a), ours(b)
            assert_same_outputs(b, a, ulps=40)
            assert_same_masks(b, a)


def test_the_mask_of_an_array_is_used_and_one_that_is_given_goes_before_it(rng):
    x = measured(rng).astype("float32")
    layer = LSTM(4)
    masked = Masking()(x)
    real = np.any(x != 0, axis=-1)
    np.testing.assert_array_equal(carried_mask(masked), real)
    np.testing.assert_array_equal(layer(masked), layer(x, mask=real))
    assert np.any(layer(masked) != layer(x))
    everything = np.ones((N, T), bool)
    np.testing.assert_array_equal(layer(masked, mask=everything), layer(x))


def test_states_carry_no_masks(rng):
    x = Masking()(measured(rng))
    for layer, count in (
        (LSTM(4, return_sequences=True, return_state=True), 1),
        (RNN([LSTMCell(4), LSTMCell(3)], return_sequences=True, return_state=True), 1),
        (Bidirectional(LSTM(4, return_sequences=True, return_state=True), None), 2),
    ):
        outputs = layer(x)
        assert all(carried_mask(y) is carried_mask(x) for y in outputs[:count])
        for state in outputs[count:]:
            flat = state if isinstance(state, list) else [state]
            assert all(carried_mask(s) is None for s in flat)


def test_what_numpy_makes_of_an_array_carries_nothing(rng):
    masked = Masking()(measured(rng))
    for made in (masked + 1, masked[:2], masked.copy(), np.tanh(masked), masked.mean(axis=1)):
        assert carried_mask(made) is None
    assert carried_mask(np.asarray(masked)) is None
    plain = rng.normal(size=(2, 3, 4))
    assert with_mask(plain, None) is plain
    both = with_mask((plain, plain), [np.ones((2, 3)), None])
    assert [carried_mask(y) is None for y in both] == [False, True]
    assert isinstance(both[0], MaskedSteps)
    assert not isinstance(plain, MaskedSteps)


def test_a_whole_model_reads_the_mask_of_its_input(rng):
    x = measured(rng).astype("float32")
    model = lr.Sequential([LSTM(4, return_sequences=True), LSTM(3), Dense(1)])
    masked = Masking()(x)
    np.testing.assert_array_equal(model(masked), model(x, mask=carried_mask(masked)))
    assert np.any(model(masked) != model(x))


# What training makes of it.


def test_padded_labels_do_not_count_whoever_passed_the_mask_on(rng):
    x, y = counted(rng), rng.normal(size=(N, T, 1)).astype("float32")
    layers = [
        Embedding(9, 4, mask_zero=True),
        Dropout(0.0),
        Bidirectional(LSTM(3, return_sequences=True)),
        Activation("tanh"),
        TimeDistributed(Dense(1)),
    ]
    model = lr.Sequential(layers)
    model.compile("sgd", "mse")
    loss = model.evaluate(x, y, verbose=0)
    y[x == 0] = 1e6
    assert model.evaluate(x, y, verbose=0) == loss
    ended = lr.Sequential([Embedding(9, 4, mask_zero=True), LSTM(3), RepeatVector(T), Dense(1)])
    ended.compile("sgd", "mse")
    assert ended.evaluate(x, y, verbose=0) > 1e6


def test_layers_that_find_padding_are_known_to_the_model(rng):
    x = np.concatenate([rng.normal(size=(6, 4, 1)), np.zeros((6, 2, 1))], axis=1)
    x[0, 2:] = 0
    model = lr.Sequential([LSTM(2, return_sequences=True), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="make Masking"):
        model.fit(x, x, verbose=0)
    model = lr.Sequential([Masking(), Bidirectional(LSTM(2, return_sequences=True)), Dense(1)])
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, x, verbose=0)
