"""Classes as targets: labels, columns, their weights, and the sentence for each usual mistake."""

import re

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import ShapeError
from lstm_ref.training.labels import (
    MISSING,
    check_labels,
    class_weights,
    fit_binary,
    fit_labels,
    fit_one_hot,
)
from lstm_ref.training.targets import check_counted, looks_padded
from tests.keras_peer import keras_library, library_dtype
from tests.peers import require

F64 = np.dtype("float64")
N, T, K = 6, 5, 3


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "float32", "float64", "bool"])
@pytest.mark.parametrize(
    ("shape", "predicted"),
    [
        *(((N, T), (N, T, K)), ((N, T, 1), (N, T, K)), ((N,), (N, K)), ((N, 1), (N, K))),
        *(((N, T), (N, T, 1)), ((N, T, 1), (N, T, 1)), ((1,), (1, 2)), ((0, T), (0, T, K))),
    ],
)
def test_labels_in_any_dtype_with_or_without_a_last_axis(dtype, shape, predicted, rng):
    y = rng.integers(0, 2, shape).astype(dtype)
    labels = fit_labels(y, predicted)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, y.reshape(predicted[:-1]))
    if y.size:
        np.testing.assert_array_equal(fit_labels(y.tolist(), predicted), labels)


def test_nan_is_a_label_that_is_missing():
    labels = fit_labels(np.array([[0.0, np.nan], [np.inf, 2.0]]), (2, 2, K))
    np.testing.assert_array_equal(labels, [[0, MISSING], [MISSING, 2]])


@pytest.mark.parametrize(
    ("shape", "predicted", "advice"),
    [
        ((N, T, K), (N, T, K), "this is a column for each class; use categorical_crossentropy"),
        ((N, K), (N, K), "this is a column for each class"),
        ((N, T, 4), (N, T, K), "a label is one number, and there are 4 columns"),
        ((5, T), (N, T, K), "x and y must have the same number of rows"),
        ((N, T), (N, K), "a label is one number, and there are 5 columns"),
        ((N, T, 1), (N, K), "set return_sequences=True on the last LSTM"),
        ((N,), (N, T, K), "set return_sequences=False on the last LSTM"),
        ((N, 1), (N, T, K), "set return_sequences=False on the last LSTM"),
        ((N, 4), (N, T, K), "y has 4 time steps and x has 5"),
        ((N, 4, 1), (N, T, K), "y has 4 time steps and x has 5"),
        ((), (N, K), "x and y must have the same number of rows"),
    ],
)
def test_every_other_shape_of_labels_gets_a_sentence(shape, predicted, advice):
    with pytest.raises(ShapeError, match=re.escape(advice)) as error:
        fit_labels(np.zeros(shape), predicted)
    assert str(error.value).startswith(
        f"the target y has shape {shape}, and the model predicts {predicted}, for which labels "
        f"have the shape {predicted[:-1]}: "
    )


def test_labels_are_whole_numbers():
    with pytest.raises(ValueError, match=r"the target y holds 0\.5, and a label is a whole number"):
        fit_labels(np.array([0, 0.5]), (2, K))


@pytest.mark.parametrize("shape", [(N, T), (N, T, 1)])
def test_labels_where_columns_are_needed(shape):
    sentence = "use sparse_categorical_crossentropy .* or make columns .* to_categorical.*=3"
    with pytest.raises(ShapeError, match=sentence):
        fit_one_hot(np.zeros(shape, int), (N, T, K), F64)
    with pytest.raises(ShapeError, match=sentence):
        lr.losses.CategoricalCrossentropy()(np.zeros(shape, int), np.ones((N, T, K)))
    target, _ = fit_one_hot(np.zeros((N, T, K)), (N, T, K), F64)
    assert target.shape == (N, T, K)
    with pytest.raises(ShapeError, match=r"use Dense\(4\)"):
        fit_one_hot(np.zeros((N, T, 4)), (N, T, K), F64)


@pytest.mark.parametrize(("low", "high", "way"), [(-1, 1, "(y + 1) / 2"), (1, 2, "y - 1")])
def test_two_classes_with_other_numbers(low, high, way):
    y = np.array([[low], [high], [high]])
    sentence = f"binary_crossentropy needs 0 for no and 1 for yes: use {way}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        fit_binary(y, (3, 1), F64)
    for fine in ([0, 1, 1], [0.2, 0.5, 1], [0, -1, 1], [0, 1, np.nan]):  # -1 may be padding
        fit_binary(np.array(fine), (3, 1), F64)


@pytest.mark.parametrize(
    ("labels", "outputs", "sentence"),
    [
        ([[0, 1, 2], [1, 3, 0]], 3, "is 3 at row 17, step 1, which counts, and the 3 outputs are"),
        ([[0, 1, 2], [1, 3, 0]], 3, "are the classes 0 to 2. Use Dense(4), or look where such a"),
        ([[1, 2, 3], [1, 3, 1]], 3, "is 3 at row 40, step 2, which counts, and the 3 outputs are"),
        ([[1, 2, 3], [1, 3, 1]], 3, "0 to 2. The labels seem to count from 1 to 3: use y - 1"),
        ([[0, -1, 2], [1, 1, 0]], 3, "sample_weight 0 and any class as label; where the step is"),
        ([[0, -1, 2], [1, 1, 0]], 3, "or ignore it: ignore_class=-1"),
        ([[0, MISSING, 2], [1, 1, 0]], 3, "is NaN at row 40, step 1"),
        ([[0, 1, 0], [1, 1, 0]], 1, "The last layer has one output, which a softmax makes 1"),
        ([2, 5], 3, "is 5 at row 17, which counts"),
    ],
)  # fmt: skip
def test_a_label_that_is_no_class_is_found_and_named(labels, outputs, sentence):
    labels = np.array(labels)
    numbers = np.array([40, 17])
    with pytest.raises(ValueError, match=re.escape(sentence)):
        check_labels(labels, outputs, None, numbers)
    check_labels(labels, outputs, np.zeros(labels.shape, bool), numbers)
    check_counted(labels, None, numbers)  # the check of numbers has nothing against it


@pytest.mark.parametrize("from_logits", [False, True])
def test_a_label_that_is_no_class_makes_nan_and_does_so_only_where_it_counts(from_logits, rng):
    loss = lr.losses.SparseCategoricalCrossentropy(from_logits)
    labels, p = rng.integers(0, K, (N, T)), rng.uniform(0.1, 1, (N, T, K))
    labels[1, 2] = K
    assert np.isnan(loss.value(labels, p, None, None))
    d = loss.gradient(labels, p, None, None)
    assert np.isnan(d[1, 2]).all()
    assert np.isnan(d).sum() == K
    with pytest.raises(ValueError, match="is 3 at row 1, step 2, which counts"):
        loss(labels, p)
    with pytest.raises(ValueError, match="is 3 at row 71, step 2"):
        loss.check_target(labels, p.shape, None, np.arange(70, 76))
    mask = np.ones((N, T), bool)
    mask[1, 2] = False
    assert np.isfinite(loss(labels, p, mask=mask))
    ignoring = lr.losses.SparseCategoricalCrossentropy(from_logits, ignore_class=K)
    assert ignoring(labels, p) == loss(labels, p, mask=mask)


def test_nan_among_the_columns_is_named_as_ever(rng):
    y, p = np.eye(K)[rng.integers(0, K, (N, T))], rng.uniform(0.1, 1, (N, T, K))
    y[1, 2, 0] = np.nan
    for loss in (lr.losses.CategoricalCrossentropy(), lr.losses.MeanSquaredError()):
        with pytest.raises(ValueError, match="the target y is NaN at row 1, step 2"):
            loss(y, p)


def test_padded_labels_are_seen():
    x, labels = np.zeros((3, 5, 1)), np.zeros((3, 5), int)
    for row, length in enumerate([3, 2, 5]):
        x[row, :length], labels[row, :length] = 1 + row, 1 + row
    assert looks_padded(x, labels)
    assert not looks_padded(x, labels.astype(float))  # K columns of one prediction a row
    assert not looks_padded(x, labels + 1)


# Weights of classes.

WEIGHT = {0: 0.5, 2: 3.0}


@pytest.mark.parametrize("kind", ["labels", "columns"])
def test_class_weights_are_those_of_keras_where_it_has_them(kind, rng):
    keras = require("keras")
    labels = rng.integers(0, K, N)
    y = labels if kind == "labels" else np.eye(K)[labels]
    from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

    assert keras
    target = y if kind == "labels" else y.astype(float)
    got = class_weights(target, WEIGHT, (N, K), F64)
    np.testing.assert_array_equal(got, class_weight_to_sample_weights(y, WEIGHT))
    binary = (labels[:, None] > 0).astype(float)
    got = class_weights(binary, {1: 4.0}, (N, 1), F64)
    np.testing.assert_array_equal(got, class_weight_to_sample_weights(binary, {1: 4.0}))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_class_weights_a_step_and_times_sample_weights(dtype, rng):
    labels = rng.integers(0, K, (N, T))
    of_class = np.array([0.5, 1, 3], dtype)
    weight = rng.random((N, T)).astype(dtype)
    for target in (labels, np.eye(K)[labels]):
        got = class_weights(target, WEIGHT, (N, T, K), np.dtype(dtype))
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, of_class[labels])
        got = class_weights(target, WEIGHT, (N, T, K), np.dtype(dtype), weight)
        np.testing.assert_array_equal(got, of_class[labels] * weight)
    yes = (labels[..., None] > 0).astype(dtype)
    got = class_weights(yes, {np.int64(1): 2}, (N, T, 1), np.dtype(dtype))
    np.testing.assert_array_equal(got, 1 + yes[..., 0])


def test_a_step_without_a_label_weighs_one():
    labels = np.array([0, MISSING, -1, 9])
    np.testing.assert_array_equal(class_weights(labels, {0: 5.0}, (4, 2), F64), [5, 1, 1, 1])
    columns = np.array([[1, 0], [np.nan, 0], [0, 0], [0, 1.0]])
    np.testing.assert_array_equal(class_weights(columns, {1: 5.0}, (4, 2), F64), [1, 1, 1, 5])
    one = np.array([[1], [np.nan], [0.0]])
    np.testing.assert_array_equal(class_weights(one, {1: 5.0}, (3, 1), F64), [5, 1, 1])


@pytest.mark.parametrize(
    ("given", "target", "error", "sentence"),
    [
        (
            [1, 2],
            [0],
            TypeError,
            "class_weight=[1, 2]: a dict is needed, for example",
        ),
        ({"0": 1}, [0], TypeError, "class_weight has the key '0', and a class is a whole number"),
        ({0.0: 1}, [0], TypeError, "class_weight has the key 0.0, and a class is a whole number"),
        ({True: 1}, [0], TypeError, "class_weight has the key True"),
        ({3: 1}, [0], ValueError, "class_weight has the key 3, and there are the classes 0 to 2"),
        ({-1: 1}, [0], ValueError, "class_weight has the key -1"),
        ({0: -1}, [0], ValueError, "class_weight[0] is -1: a finite number is needed, 0 or more"),
        ({0: np.nan}, [0], ValueError, "class_weight[0] is nan"),
        ({0: "1"}, [0], ValueError, "class_weight[0] is '1'"),
        (
            {0: 1},
            [[1.0, 1, 0]],
            ValueError,
            "class_weight is for one class a step, and y has",
        ),
    ],
)
def test_other_class_weights_get_a_sentence(given, target, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        class_weights(np.array(target), given, (1, K), F64)


def test_class_weights_for_numbers_are_refused():
    with pytest.raises(ValueError, match="with one output these are 0 and 1, and y has other"):
        class_weights(np.array([[0.3]]), {0: 1}, (1, 1), F64)


# Columns.


@pytest.mark.parametrize("shape", [(5,), (5, 1), (2, 3), (2, 3, 1), (1,), (1, 1)])
@pytest.mark.parametrize("classes", [None, 4])
def test_to_categorical_equals_keras(shape, classes, rng):
    x = rng.integers(0, 4, shape)
    got = lr.utils.to_categorical(x, classes)
    expected = require("keras").utils.to_categorical(x, classes)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(lr.utils.to_categorical(x.astype(float), classes), expected)


@pytest.mark.parametrize(
    ("x", "classes", "sentence"),
    [
        ([0, -1], None, "x holds -1, and 1 classes are 0 to 0"),
        ([0, 3], 3, "x holds 3, and 3 classes are 0 to 2; labels that count from 1 need x - 1"),
        ([0.5], 2, "holds 0.5, and a label is a whole number"),
        ([np.nan, 1], 2, "x holds NaN"),
        ([], None, "x is empty, so num_classes must say how many columns there are"),
    ],
)
def test_what_to_categorical_refuses(x, classes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        lr.utils.to_categorical(x, classes)


def test_columns_and_labels_have_the_same_loss(rng):
    labels, z = rng.integers(0, K, (N, T)), rng.normal(size=(N, T, K))
    columns = lr.utils.to_categorical(labels, K)
    for from_logits in (True, False):
        y = z if from_logits else lr.activations.softmax(z)
        sparse = lr.losses.SparseCategoricalCrossentropy(from_logits)(labels, y)
        whole = lr.losses.CategoricalCrossentropy(from_logits)(columns, y)
        assert sparse == pytest.approx(whole, rel=1e-14)
    with library_dtype("float64"):
        p = lr.activations.softmax(z)
        theirs = keras_library().losses.CategoricalCrossentropy()(columns, p)
    assert float(theirs) == pytest.approx(sparse, rel=1e-14)
