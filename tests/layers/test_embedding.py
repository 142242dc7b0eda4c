"""Embedding against Keras: rows, masks, gradients, a whole fit; what it reads, and refuses."""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref import Sequential
from lstm_ref.errors import DTypeError, ShapeError, UnsupportedError
from lstm_ref.layers import LSTM, Dense, Embedding, Input
from lstm_ref.layers.carried_mask import carried_mask
from tests.keras_peer import (
    OURS,
    Library,
    assert_close,
    keras_library,
    library_dtype,
    twin_models,
)
from tests.layers.twin_layers import (
    assert_config_round_trip,
    assert_same_config,
    assert_same_gradients,
    assert_same_masks,
    assert_same_outputs,
    twin_layers,
)
from tests.layers.whole_models import train_alike


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple),
    vocabulary=st.integers(1, 9),
    width=st.integers(1, 40),
    mask_zero=st.booleans(),
    reads=st.sampled_from(["int64", "int32", "uint8", "bool", "float"]),
)
def test_rows_masks_and_gradients_are_keras(
    dtype, seed, shape, vocabulary, width, mask_zero, reads
):
    rng = np.random.default_rng(seed)

    def build(lib: Library) -> Any:
        return lib.layers.Embedding(vocabulary, width, mask_zero=mask_zero)

    x = rng.integers(0, min(vocabulary, 2) if reads == "bool" else vocabulary, size=shape)
    with library_dtype(dtype):
        theirs, ours = twin_layers(build, rng, (None, *shape[1:]))
        given_x = x.astype(dtype if reads == "float" else reads)
        got, expected = ours(given_x), theirs(x.astype("int32"))
        assert_same_outputs(got, expected, ulps=0)
        assert_same_masks(got, expected)
        assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape)
        assert_same_gradients(theirs, ours, x, rng)


def test_whole_numbers_get_no_gradient():
    layer = Embedding(5, 3)
    y, cache = layer.forward(layer.read([[1, 1]]), keep_cache=True)
    d_x, gradients = layer.backward(np.ones_like(y), cache)
    assert d_x.shape == (1, 2)
    assert not d_x.any()
    np.testing.assert_array_equal(gradients["embeddings"][1], [2, 2, 2])


def reader(mask_zero: bool, regularizer: str | None):
    """A builder of Embedding → LSTM → Dense."""

    def build(lib: Library) -> Any:
        layers = lib.layers
        options = {"mask_zero": mask_zero, "embeddings_regularizer": regularizer}
        return lib.models.Sequential(
            [
                layers.Input((6,), dtype="int32"),
                layers.Embedding(9, 4, **options),
                layers.LSTM(5, return_sequences=True),
                layers.Dense(2),
            ]
        )

    return build


@pytest.mark.parametrize(
    ("optimizer", "regularizer"),
    [("sgd", None), ("sgd", "l2"), ("adam", "l2"), ("rmsprop", "l1")],
)
@pytest.mark.parametrize("mask_zero", [False, True])
def test_a_fit_equals_keras(optimizer, regularizer, mask_zero, rng):
    """With a penalty Keras' gradient is an array, as ours; without, see the next test."""
    x = rng.integers(0, 8, size=(12, 6))  # 8 never comes up
    x[0, 4:], x[1, :3], x[2] = 0, 0, 0
    y = rng.normal(size=(12, 6, 2))
    with library_dtype("float64"):
        train_alike(reader(mask_zero, regularizer), optimizer, x, y, rng)


def test_what_stands_twice_in_a_batch_counts_as_one_gradient(rng):
    """On TensorFlow, Keras adds up the squares of a row's gradients, not their sum's square.

    Its gradient on the table is a list of rows then, which it squares before it adds those of the
    same number. On PyTorch it gives what we do. Without squares nothing differs: SGD above.
    """

    def build(lib: Library) -> Any:
        layers = lib.layers
        return lib.models.Sequential(
            [layers.Input((2,), dtype="int32"), layers.Embedding(3, 1), layers.Dense(1)]
        )

    x, y = np.array([[1, 1]]), np.array([[[1.0], [2.0]]])
    with library_dtype("float64"):
        theirs, ours = twin_models(build, rng, (None, 2))
        for model, lib in ((theirs, keras_library()), (ours, OURS)):
            model.compile(lib.optimizers.RMSprop(0.1, rho=0.5), "mse")
        table, kernel, bias = ours.get_weights()
        each = (table[1] * kernel[0] + bias - y[0, :, 0]) * kernel[0]  # the gradient at each place
        for model, squares in ((theirs, np.sum(each**2)), (ours, np.sum(each) ** 2)):
            model.train_on_batch(x, y)
            step = 0.1 * np.sum(each) / np.sqrt(0.5 * squares + 1e-7)
            assert_close(model.get_weights()[0][1], table[1] - step, ulps=8)


def test_padding_is_skipped_by_whoever_reads_on(rng):
    model = Sequential([Input((None,)), Embedding(9, 4, mask_zero=True), LSTM(5)])
    short = model.predict(np.array([[3, 4]]), verbose=0)
    padded = model.predict(np.array([[0, 3, 0, 4, 0, 0]]), verbose=0)
    np.testing.assert_allclose(padded, short, atol=1e-6)
    assert model.makes_masks()
    without = Sequential([Input((None,)), Embedding(9, 4), LSTM(5)])
    without.set_weights(model.get_weights())
    assert np.abs(without.predict(np.array([[0, 3, 4]]), verbose=0) - short).max() > 1e-3
    assert not without.makes_masks()


def test_the_mask_goes_with_the_array():
    x = np.array([[1, 0, 2]])
    y = Embedding(3, 2, mask_zero=True)(x)
    np.testing.assert_array_equal(carried_mask(y), [[True, False, True]])
    assert carried_mask(Embedding(3, 2)(x)) is None


# What it is made with.


def test_defaults_and_argument_order_are_those_of_keras():
    theirs = inspect.signature(keras_library().layers.Embedding.__init__).parameters
    ours = inspect.signature(Embedding.__init__).parameters
    positional = [n for n, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD] == positional
    assert [ours[n].default for n in positional] == [theirs[n].default for n in positional]


def test_the_config_holds_keras_values_and_makes_the_same_layer_again():
    options = {
        "mask_zero": True,
        "embeddings_regularizer": "l1",
        "embeddings_constraint": "unit_norm",
        "name": "words",
    }
    theirs, ours = (lib.layers.Embedding(7, 3, **options) for lib in (keras_library(), OURS))
    assert_same_config(ours.get_config(), theirs.get_config())
    assert_config_round_trip(ours)


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: [t]])
def test_a_table_may_come_with_the_layer(wrap, rng):
    table = rng.normal(size=(5, 3)).astype("float32")
    for lib in (keras_library(), OURS):
        layer = lib.layers.Embedding(5, 3, weights=wrap(table))
        assert layer.built
        np.testing.assert_array_equal(layer.get_weights()[0], table)
        np.testing.assert_array_equal(np.asarray(layer(np.array([[4, 0]])))[0], table[[4, 0]])


def test_a_table_of_another_shape_is_refused(rng):
    for table in (rng.normal(size=(3, 5)), np.zeros(15), []):
        with pytest.raises(ShapeError, match=r"has shape \(5, 3\), and an array of shape"):
            Embedding(5, 3, weights=[table])


def test_keras_2s_input_length_is_an_input_shape():
    model = Sequential([Embedding(5, 3, input_length=4)])
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 4, 3)


# What it reads.


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        ([[0, 5]], "got the number 5 at (0, 1), and has rows for 0 to 4: input_dim is the largest"),
        ([[0, -1]], "got the number -1 at (0, 1), and has rows for 0 to 4"),
    ],
)
def test_a_number_without_a_row_is_named(x, sentence):
    """Keras reads -1 as the last row, as NumPy does, and fails on 5."""
    model = Sequential([Input((2,)), Embedding(5, 3, name="words"), LSTM(2), Dense(1)])
    for call in (Embedding(5, 3), model, model.predict):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            call(np.array(x))


@pytest.mark.parametrize(
    ("x", "held"), [([[0.5, 1.0]], "0.5"), ([[1.0, np.nan]], "nan"), ([[np.inf, 1.0]], "inf")]
)
def test_numbers_that_are_measured_are_refused(x, held):
    """Keras cuts fractions off, and makes some number of the others."""
    sentence = (
        rf"goes into an Embedding, which reads whole numbers, and it holds {held}:.*x\[\.\.\."
    )
    with pytest.raises(DTypeError, match=sentence):
        Embedding(5, 3)(np.array(x))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: Embedding(0, 3), ValueError, "Embedding(input_dim=0): a positive whole number"),
        (lambda: Embedding(5, 2.5), ValueError, "Embedding(output_dim=2.5): a positive whole"),
        (
            lambda: Embedding(5, 3, lora_rank=2),
            UnsupportedError,
            "Embedding(lora_rank=2) is not supported",
        ),
        (
            lambda: Embedding(5, 3, sparse=True),
            UnsupportedError,
            "Embedding(sparse=...): there is no such argument here",
        ),
        (lambda: Embedding(5, 3)([["a"]]), DTypeError, "real numbers are needed"),
        (
            lambda: Embedding(5, 3, embeddings_initializer="ortogonal"),
            ValueError,
            "'ortogonal'",
        ),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        call()


def test_the_table_is_read_only():
    layer = Embedding(5, 3)
    with pytest.raises(AttributeError, match="no weights before it is built"):
        _ = layer.embeddings
    layer.build((None, None))
    with pytest.raises(ValueError, match="read-only"):
        layer.embeddings[0] = 1
