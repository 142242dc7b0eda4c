"""Losses and metrics against Keras, by themselves: masks, sample weights, gradients, names."""

import re

import numpy as np
import pytest

import lstm_ref.losses
import lstm_ref.metrics
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.training.metrics import Report, get_all
from tests.keras_peer import assert_close, keras_library, library_dtype

KINDS = ("MeanSquaredError", "MeanAbsoluteError")
B, T, K = 4, 5, 3


def steps(rng, dtype="float64"):
    """y_true, y_pred [B,T,K] and a mask with a row of no real step."""
    y_true, y_pred = (rng.normal(size=(B, T, K)).astype(dtype) for _ in range(2))
    y_pred[0, 0] = y_true[0, 0]  # an error of exactly 0, where mae has its kink
    mask = rng.random((B, T)) < 0.6
    mask[0, 0], mask[2] = True, False
    return y_true, y_pred, mask


def weights(shape, rng):
    return None if shape is None else rng.uniform(0.2, 3, size=shape)


def masked_tensor(y_pred, mask):
    """The prediction as Keras hands it to a loss: with its mask attached."""
    import tensorflow as tf
    from keras.src import backend

    tensor = tf.convert_to_tensor(y_pred)
    if mask is not None:
        backend.set_keras_mask(tensor, tf.convert_to_tensor(mask))
    return tensor


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weight_shape", [None, (B, 1), (B, T), (B, T, 1)])
def test_losses_and_their_gradients_equal_keras(dtype, kind, reduction, masked, weight_shape, rng):
    import tensorflow as tf

    y_true, y_pred, mask = steps(rng, dtype)
    mask = mask if masked else None
    weight = weights(weight_shape, rng)
    ours = getattr(lstm_ref.losses, kind)(reduction)
    with library_dtype(dtype):
        theirs = getattr(keras_library().losses, kind)(reduction)
        with tf.GradientTape() as tape:
            tensor = masked_tensor(y_pred, mask)
            tape.watch(tensor)
            expected = theirs(y_true, tensor, weight)
        gradient = tape.gradient(expected, tensor).numpy()
    value = np.asarray(ours(y_true, y_pred, weight, mask), dtype)
    assert_close(value, expected.numpy(), ulps=8)
    whole = (
        None
        if weight is None
        else np.broadcast_to(weight.reshape(weight.shape[:2]).astype(dtype), (B, T))
    )
    got = ours.gradient(y_true, y_pred, whole, mask)
    assert_close(got, gradient, ulps=8, scale=np.abs(gradient).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weight_shape", [None, (B, 1), (B, T), (B, T, 1)])
def test_metrics_equal_keras_over_several_batches(kind, masked, weight_shape, rng):
    ours = getattr(lstm_ref.metrics, kind)()
    with library_dtype("float64"):
        theirs = getattr(keras_library().metrics, kind)()
        for _ in range(3):
            y_true, y_pred, mask = steps(rng)
            mask, weight = (mask if masked else None), weights(weight_shape, rng)
            theirs.update_state(y_true, masked_tensor(y_pred, mask), sample_weight=weight)
            ours.update_state(y_true, y_pred, sample_weight=weight, mask=mask)
            assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-14)
    assert ours.name == theirs.name
    ours.reset_state()
    assert ours.result() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_real_costs_nothing(kind):
    y = np.ones((2, 3, 1))
    mask = np.zeros((2, 3), bool)
    loss = getattr(lstm_ref.losses, kind)()
    assert loss(y, 2 * y, mask=mask) == 0
    assert not loss.gradient(y, 2 * y, None, mask).any()


@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_inf_at_masked_steps_are_never_looked_at(kind, rng):
    y_true, y_pred, mask = steps(rng)
    loss = getattr(lstm_ref.losses, kind)()
    metric = getattr(lstm_ref.metrics, kind)()
    clean = loss(y_true, y_pred, mask=mask)
    d_clean = loss.gradient(y_true, y_pred, None, mask)
    y_true[~mask], y_pred[~mask] = np.nan, np.inf
    assert loss(y_true, y_pred, mask=mask) == clean
    np.testing.assert_array_equal(loss.gradient(y_true, y_pred, None, mask), d_clean)
    metric.update_state(y_true, y_pred, mask=mask)
    assert metric.result() == pytest.approx(clean)


@pytest.mark.parametrize("name", ["mean_squared_error", "mean_absolute_error"])
def test_the_functions_give_the_error_of_every_step(name, rng):
    y_true, y_pred, _ = steps(rng)
    got = getattr(lstm_ref.losses, name)(y_true, y_pred)
    with library_dtype("float64"):
        expected = getattr(keras_library().losses, name)(y_true, y_pred)
    assert_close(got, np.asarray(expected), ulps=4)


@pytest.mark.parametrize(
    "identifier", ["mse", "MSE", "mean_squared_error", "MeanSquaredError", "mae", "MAE"]
)
def test_names_mean_and_report_what_they_do_in_keras(identifier):
    loss, metric = lstm_ref.losses.get(identifier), lstm_ref.metrics.get(identifier)
    squared = "s" in identifier.lower().removesuffix("error")[:6]
    assert type(loss).__name__ == type(metric).__name__
    assert type(loss).__name__ == ("MeanSquaredError" if squared else "MeanAbsoluteError")
    assert metric.name == identifier
    assert lstm_ref.losses.get(lstm_ref.losses.serialize(loss)).get_config() == loss.get_config()
    again = lstm_ref.metrics.get(lstm_ref.metrics.serialize(metric))
    assert (type(again), again.name) == (type(metric), identifier)


def test_metrics_by_function_and_object():
    functions = lstm_ref.losses.mean_squared_error, lstm_ref.losses.mean_absolute_error
    metrics = get_all([*functions, lstm_ref.metrics.MeanAbsoluteError("far")], "metrics")
    assert [m.name for m in metrics] == ["mean_squared_error", "mean_absolute_error", "far"]
    assert type(lstm_ref.losses.get(functions[1])) is lstm_ref.losses.MeanAbsoluteError


def test_repeated_names_are_told_apart_as_in_keras():
    metrics = get_all(["mse", "mae", "mse"], "metrics")
    weighted = get_all(["mse", "MSE", "mae", "mse"], "weighted_metrics")
    assert Report(metrics, weighted).names == [
        *("mse", "mae", "mse_1"),
        *("weighted_mse", "MSE", "weighted_mae", "weighted_mse_1"),
    ]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: lstm_ref.losses.get("huber"),
            "loss='huber' is not supported: 'mse' and 'mae' are",
        ),
        (lambda: lstm_ref.losses.get(["mse"]), "loss=['mse'] is not supported"),
        (lambda: lstm_ref.losses.get(max), "loss=<built-in function max> is not supported"),
        (lambda: lstm_ref.metrics.get("accuracy"), "the metric 'accuracy' is not supported"),
        (lambda: get_all("mae", "metrics"), "metrics='mae': a list is needed"),
        (
            lambda: lstm_ref.losses.MeanSquaredError("none"),
            "MeanSquaredError(reduction='none') is not supported",
        ),
        (
            lambda: lstm_ref.losses.MeanSquaredError(dtype="float64"),
            "a loss computes in its model's dtype",
        ),
        (
            lambda: lstm_ref.metrics.MeanSquaredError(dtype="float64"),
            "a metric accumulates in float64",
        ),
    ],
)
def test_what_is_not_there_is_refused_by_name(make, sentence):
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        make()


def test_a_loss_called_by_itself_checks_its_shapes():
    with pytest.raises(ShapeError, match="the target y has shape"):
        lstm_ref.losses.MeanSquaredError()(np.zeros((2, 4, 1)), np.zeros((2, 5, 1)))
