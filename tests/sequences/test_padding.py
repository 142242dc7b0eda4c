"""pad_sequences against Keras' own, and the mask that belongs to it."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref.errors import ShapeError
from lstm_ref.sequences import mask_from_lengths, pad_sequences

sides = st.sampled_from(["pre", "post"])
options = st.fixed_dictionaries(
    {},
    optional={
        "maxlen": st.integers(1, 8),
        "dtype": st.sampled_from(["int32", "int64", "float32", "float64", np.float32, object]),
        "padding": sides,
        "truncating": sides,
        "value": st.sampled_from([0, -1, 7.0]),
    },
)
whole = st.integers(-1000, 1000)
steps = st.one_of(
    st.just(whole),
    st.integers(1, 3).map(lambda D: st.lists(whole, min_size=D, max_size=D)),
    st.just(st.lists(st.lists(whole, min_size=2, max_size=2), min_size=3, max_size=3)),
)
sequences = steps.flatmap(lambda step: st.lists(st.lists(step, max_size=7), min_size=1, max_size=5))
kinds = st.sampled_from([list, tuple, np.array])


@settings(max_examples=300)
@given(sequences, options, kinds)
def test_equals_keras(sequences, arguments, kind):
    sequences = [kind(s) if len(s) else s for s in sequences]
    expected = keras.utils.pad_sequences(sequences, **arguments)
    padded = pad_sequences(sequences, **arguments)
    np.testing.assert_array_equal(padded, expected, strict=True)


def test_equals_keras_on_fractions_kept_and_cut():
    sequences = [[1.5, -2.5], [], [0.25, 3.75, 9.0]]
    kept = pad_sequences(sequences, dtype="float32", padding="post", value=-0.5)
    expected = keras.utils.pad_sequences(sequences, dtype="float32", padding="post", value=-0.5)
    np.testing.assert_array_equal(kept, expected, strict=True)
    with pytest.warns(UserWarning, match='1.5 became 1 in sequence 0.*dtype="float32"') as caught:
        cut = pad_sequences(sequences)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(cut, keras.utils.pad_sequences(sequences), strict=True)


def test_equals_keras_on_strings():
    words = [["a", "bc"], ["def"]]
    padded = pad_sequences(words, dtype=object, value="<pad>")
    np.testing.assert_array_equal(padded, [["a", "bc"], ["<pad>", "def"]])
    np.testing.assert_array_equal(
        padded, keras.utils.pad_sequences(words, dtype=object, value="<pad>"), strict=True
    )


@given(sequences.filter(lambda rows: any(len(row) for row in rows)), st.integers(1, 8))
def test_the_arguments_stand_in_keras_order(sequences, maxlen):
    arguments = (maxlen, "float64", "post", "pre", -3.0)
    np.testing.assert_array_equal(
        pad_sequences(sequences, *arguments),
        keras.utils.pad_sequences(sequences, *arguments),
        strict=True,
    )


def test_negative_fractions_are_seen_too():
    with pytest.warns(UserWarning, match=r"-0\.5 became 0 in sequence 1"):
        pad_sequences([[-1.0], [-0.5]])


def test_a_padding_value_with_a_fraction_is_seen_too():
    with pytest.warns(UserWarning, match=r"0\.5 became 0 in value"):
        pad_sequences([[1], [2, 3]], value=0.5)


def test_only_what_is_kept_can_warn():
    padded = pad_sequences([[0.5, 1.0, 2.0]], maxlen=2)
    np.testing.assert_array_equal(padded, [[1, 2]])


@pytest.mark.parametrize(
    ("sequences", "arguments", "shape"),
    [
        ([], {}, (0, 0)),
        ([], {"maxlen": 4}, (0, 4)),
        ([[]], {}, (1, 0)),
        ([[1, 2]], {"maxlen": 0}, (1, 0)),
        ([[[1, 2], [3, 4]]], {"maxlen": 0, "truncating": "post"}, (1, 0, 2)),
    ],
)
def test_nothing_to_pad_works(sequences, arguments, shape):
    assert pad_sequences(sequences, **arguments).shape == shape


@pytest.mark.parametrize(
    ("sequences", "arguments", "error", "sentence"),
    [
        ([1, 2, 3], {}, ShapeError, r"sequence 0 is 1.*write \[sequence\]"),
        (iter([[1]]), {}, ShapeError, r"list_iterator.*list\(\.\.\.\)"),
        ([[1], [[2, 3]]], {}, ShapeError, r"sequence 1 has steps of shape \(2,\).*sequence 0"),
        ([[[1], [2, 3]]], {}, ShapeError, "sequence 0 has steps with different numbers"),
        ([[1]], {"padding": "left"}, ValueError, "padding='left'"),
        ([[1]], {"truncating": "right"}, ValueError, "truncating='right'"),
        ([[1]], {"maxlen": -1}, ValueError, "maxlen=-1"),
        ([[1]], {"value": "x"}, ValueError, "dtype=object"),
        ([[1.0, np.nan]], {}, ValueError, "sequence 0 holds nan.*float32"),
        ([np.array([np.inf])], {}, ValueError, "sequence 0 holds inf.*float32"),
        ([[1]], {"value": np.nan}, ValueError, "value holds nan"),
        ([[1], np.array([2**40])], {}, OverflowError, "sequence 1 holds 1099511627776"),
        ([[-1]], {"dtype": "uint8"}, OverflowError, "holds -1.*0 and 255"),
    ],
)
def test_what_cannot_be_padded_is_told(sequences, arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        pad_sequences(sequences, **arguments)


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 3), sides)
def test_the_mask_is_true_where_the_data_are(lengths, more, padding):
    T = max(lengths, default=0) + more
    padded = pad_sequences([[1] * n for n in lengths], maxlen=T, padding=padding)
    mask = mask_from_lengths(lengths, T, padding=padding)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, padded == 1)


def test_the_mask_of_unsigned_lengths():
    mask = mask_from_lengths(np.array([3, 1], dtype=np.uint8), 2 + 1, padding="pre")
    np.testing.assert_array_equal(mask, [[True, True, True], [False, False, True]])


@pytest.mark.parametrize(
    ("lengths", "arguments", "sentence"),
    [
        ([1, 5], {}, r"lengths\[1\] is 5.*0 to 4 steps.*np.minimum"),
        ([2, -1], {}, r"lengths\[1\] is -1"),
        ([1.0], {}, "float64"),
        ([[1]], {}, r"shape \(1, 1\)"),
        ([1], {"padding": "both"}, "padding='both'"),
    ],
)
def test_lengths_that_cannot_be_are_told(lengths, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        mask_from_lengths(lengths, 4, **arguments)
