"""Which target fits which prediction: what Keras broadcasts in silence is an error here."""

import re

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import ShapeError
from lstm_ref.training.targets import check_counted, looks_padded, match_target, match_weight

F64 = np.dtype("float64")
N, T, K = 6, 5, 3


@pytest.mark.parametrize(
    ("target", "predicted"),
    [((N, T, K), (N, T, K)), ((N, K), (N, K)), ((N, T, 1), (N, T, 1)), ((0, T, K), (0, T, K))],
)
def test_a_target_of_the_shape_of_the_prediction_fits(target, predicted, rng):
    y = rng.normal(size=target)
    fitted, per_row = match_target(y, predicted, F64)
    np.testing.assert_array_equal(fitted, y)
    assert not per_row


@pytest.mark.parametrize(("target", "predicted"), [((N, T), (N, T, 1)), ((N,), (N, 1))])
def test_a_last_axis_of_one_may_be_missing(target, predicted, rng):
    y = rng.normal(size=target)
    fitted, per_row = match_target(y, predicted, F64)
    np.testing.assert_array_equal(fitted, y[..., None])
    assert per_row


@pytest.mark.parametrize(
    ("target", "predicted", "advice"),
    [
        ((5, T, 1), (N, T, 1), "x and y must have the same number of rows"),
        ((), (N, 1), "x and y must have the same number of rows"),
        ((N, T, 1), (N, 1), "set return_sequences=True on the last LSTM"),
        ((N, T), (N, 1), "use Dense(5), or, where the columns of y are time steps, set return"),
        ((N, 2), (N, K), "the last layer has 3 outputs and y has 2 columns; use Dense(2)"),
        ((N,), (N, K), "y needs 3 columns"),
        ((N,), (N, T, 1), "y has one value for each sequence; set return_sequences=False"),
        ((N, 1), (N, T, 1), "y has one value for each sequence; set return_sequences=False"),
        ((N, K), (N, T, K), "y has one value for each sequence; set return_sequences=False"),
        ((N, 4, 1), (N, T, 1), "y has 4 time steps and x has 5; to predict the next step, cut"),
        ((N, 1, K), (N, T, K), "y has 1 time steps and x has 5"),
        ((N, T, 1), (N, T, K), "the last layer has 3 outputs; use Dense(1), or choose 3 columns"),
        ((N, T), (N, T, K), "the last layer has 3 outputs; use Dense(1), or choose 3 columns"),
        ((N, T, 4), (N, T, K), "the last layer has 3 outputs; use Dense(4), or choose 3 columns"),
        ((N, T, 1, 1), (N, T, 1), "choose 1 columns"),
    ],
)
def test_every_other_target_gets_a_sentence(target, predicted, advice):
    with pytest.raises(ShapeError) as error:
        match_target(np.zeros(target), predicted, F64)
    sentence = str(error.value)
    assert sentence.startswith(
        f"the target y has shape {target}, and the model predicts {predicted}"
    )
    assert advice in sentence


@pytest.mark.parametrize(
    ("shape", "predicted"),
    [
        ((N, T), (N, T, K)),
        ((N, T, 1), (N, T, K)),
        ((N, 1), (N, T, K)),
        ((N, 1, 1), (N, T, K)),
        ((N,), (N, K)),
        ((N, 1), (N, K)),
    ],
)
def test_weights_a_step_and_weights_a_row(shape, predicted, rng):
    weight = rng.random(shape)
    got = match_weight(weight, predicted, F64, per_row=False)
    full = weight if len(shape) < len(predicted) else weight[..., 0]
    np.testing.assert_array_equal(got, np.broadcast_to(full, predicted[:-1]))


def test_one_weight_a_row_is_refused_where_keras_might_spread_it_over_time():
    for rows in (N, T):  # also where the number of rows is that of the steps
        with pytest.raises(ShapeError, match=re.escape("for one a row use sample_weight[:, None]")):
            match_weight(np.ones(rows), (rows, T, K), F64, per_row=False)


def test_one_weight_a_row_is_taken_where_the_target_is_a_row():
    got = match_weight(np.arange(N), (N, T, 1), F64, per_row=True)
    np.testing.assert_array_equal(got, np.repeat(np.arange(N)[:, None], T, axis=1))


@pytest.mark.parametrize(
    "shape", [(N, T, K), (N, 4), (5, T), (1, T), (1, 1), (1,), (N, T, 1, 1), ()]
)
def test_other_weights_get_a_sentence(shape):
    with pytest.raises(ShapeError, match=r"sample_weight has shape .* one for each step, \(6, 5\)"):
        match_weight(np.ones(shape), (N, T, K), F64, per_row=False)
    with pytest.raises(ShapeError, match=r"one for each row, \(6,\) is needed"):
        match_weight(np.ones((N, 2)), (N, K), F64, per_row=False)


def test_no_weights_stay_none():
    assert match_weight(None, (N, T, K), F64, per_row=False) is None


def test_a_nan_that_counts_is_found_and_named():
    y = np.zeros((2, 3, 2))
    y[1, 2, 0] = np.nan
    numbers = np.array([40, 17])  # where the rows of the batch stand in the data
    with pytest.raises(ValueError, match=r"the target y is NaN at row 17, step 2, which counts"):
        check_counted(y, None, numbers)
    with pytest.raises(ValueError, match=r"at row 17, which counts"):
        check_counted(y[:, 2], None, numbers)
    mask = np.ones((2, 3), bool)
    with pytest.raises(ValueError, match="row 17, step 2"):
        check_counted(y, mask, numbers)
    mask[1, 2] = False
    check_counted(y, mask, numbers)


def padded(lengths, side, steps=5):
    x = np.zeros((len(lengths), steps, 1))
    for row, length in enumerate(lengths):
        at = slice(steps - length, steps) if side == "pre" else slice(0, length)
        x[row, at] = 1 + row
    return x


@pytest.mark.parametrize("side", ["pre", "post"])
def test_padding_is_seen(side):
    x = padded([3, 2, 5], side)
    assert looks_padded(x, 2 * x)
    assert looks_padded(np.concatenate([x, x], axis=2), 2 * x)


def test_what_is_no_padding_is_not_taken_for_it(rng):
    x = padded([3, 2, 5], "post")
    assert not looks_padded(x, x + 1)  # the labels are real there
    assert not looks_padded(padded([5, 5], "post"), padded([5, 5], "post"))  # no zeros
    assert not looks_padded(padded([4, 4], "post"), padded([4, 4], "post"))  # all alike
    gaps = padded([3, 2, 5], "post")
    gaps[2, 1] = 0  # a zero in the middle: zero is a value of this data
    assert not looks_padded(gaps, gaps)
    assert not looks_padded(x, x[:, 0])  # one label a row
    assert not looks_padded(padded([5, 0, 5], "post"), padded([5, 0, 5], "post"))  # a row of zeros
    assert not looks_padded(np.arange(4.0).reshape(4, 1, 1), np.zeros((4, 1)))
    assert not looks_padded(rng.normal(size=(3, 4)), rng.normal(size=(3, 1)))


@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_names_the_row_of_the_callers_data(shuffle):
    """Not of the batch, which nobody has seen; and through a validation split as well."""
    x, y = np.ones((50, 4, 1)), np.zeros((50, 4, 1))
    y[37, 2] = np.nan
    model = lr.Sequential([lr.layers.LSTM(2, return_sequences=True), lr.layers.Dense(1)])
    model.compile("sgd", "mse")
    for split in (0.0, 0.4):
        with pytest.raises(ValueError, match=r"NaN at row 37, step 2, which counts"):
            model.fit(x, y, batch_size=8, shuffle=shuffle, validation_split=split)
    with pytest.raises(ValueError, match=r"NaN at row 37, step 2"):
        model.train_on_batch(x, y)
