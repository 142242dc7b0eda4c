"""Losses by themselves: against Keras, and against differences; masks, weights, names, refusals."""

import json
import re

import numpy as np
import pytest

import lstm_ref as lr
import lstm_ref.losses
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.training.losses.base import REDUCTIONS
from tests.keras_peer import assert_close, keras_library, library_dtype
from tests.training.loss_cases import (
    LOSSES,
    B,
    K,
    T,
    arrays,
    masked_tensor,
    name_of,
    weights,
)

WEIGHTS = (None, (B, 1), (B, T), (B, T, 1))


def as_steps(weight):
    """Weights as `Loss.value` takes them, [B,T]."""
    return None if weight is None else np.broadcast_to(weight.reshape(weight.shape[:2]), (B, T))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", LOSSES, ids=name_of)
def test_values_and_gradients_equal_keras(case, dtype, rng):
    """For every reduction, with a mask and without, for weights of every shape."""
    import tensorflow as tf

    name, options = case
    for reduction in REDUCTIONS:
        for masked in (False, True):
            for shape in WEIGHTS:
                where = f"{reduction}, mask {masked}, weights {shape}"
                if reduction == "mean_with_sample_weight" and shape == (B, 1) and not masked:
                    continue  # see test_weights_a_row_count_as_often_as_they_are_used
                y_true, y_pred, mask = arrays(name, options, rng, dtype)
                mask = mask if masked else None
                weight = weights(shape, rng)
                weight = None if weight is None else weight.astype(dtype)
                ours = getattr(lstm_ref.losses, name)(reduction=reduction, **options)
                with library_dtype(dtype), tf.GradientTape() as tape:
                    theirs = getattr(keras_library().losses, name)(reduction=reduction, **options)
                    tensor = masked_tensor(y_pred, mask)
                    tape.watch(tensor)
                    expected = theirs(y_true, tensor, weight)
                    total = tf.reduce_sum(expected)
                gradient = tape.gradient(total, tensor).numpy()
                got = np.asarray(ours(y_true, y_pred, weight, mask), dtype)
                assert_close(got, expected.numpy(), ulps=30, what=where)
                if reduction in ("none", None):
                    continue
                target, _ = ours.fit_target(y_true, y_pred.shape, y_pred.dtype)
                d = ours.gradient(target, y_pred, as_steps(weight), mask)
                scale = max(float(np.abs(gradient).max()), np.finfo(dtype).tiny)
                assert_close(d, gradient, ulps=30, scale=scale, what=where)


@pytest.mark.parametrize("case", LOSSES, ids=name_of)
def test_values_and_gradients_equal_keras_at_extremes(case, rng):
    """Logits in the thousands; probabilities that are 0 and 1, and at the very bounds."""
    import tensorflow as tf

    name, options = case
    y_true, y_pred, _ = arrays(name, options, rng, scale=1000)
    if "entropy" in name and not options["from_logits"]:
        y_pred[1, 0] = [1e-7, 1 - 1e-7, 0.5]
        y_pred[1, 1] = [1 - 2e-7, 1e-7, 1e-7]
    ours = getattr(lstm_ref.losses, name)(**options)
    with library_dtype("float64"), tf.GradientTape() as tape:
        tensor = tf.convert_to_tensor(y_pred)
        tape.watch(tensor)
        expected = getattr(keras_library().losses, name)(**options)(y_true, tensor)
    gradient = tape.gradient(expected, tensor).numpy()
    assert_close(np.asarray(ours(y_true, y_pred)), expected.numpy(), ulps=30)
    target, _ = ours.fit_target(y_true, y_pred.shape, y_pred.dtype)
    d = ours.gradient(target, y_pred, None, None)
    assert np.isfinite(d).all()
    assert_close(d, gradient, ulps=30, scale=float(np.abs(gradient).max()))


@pytest.mark.parametrize("case", LOSSES, ids=name_of)
@pytest.mark.parametrize("sizes", [(4, 5, 3), (1, 1, 1), (3, 1, 2)])
def test_gradients_are_those_of_the_value(case, sizes, rng):
    """Central differences, every entry: with targets that are no distribution, too."""
    name, options = case
    rows, steps, outputs = sizes
    y_pred = rng.uniform(0.1, 0.9, size=sizes)
    y_true = rng.uniform(1.5, 2.5, size=sizes)  # away from every kink
    if name.startswith(("Binary", "Categorical")):
        y_true = rng.uniform(0.1, 0.9, size=sizes)
    if name.startswith("Sparse"):
        y_true = rng.integers(0, outputs, sizes[:2])
    mask = np.ones((rows, steps), bool)
    mask[-1, -1] = rows == steps == 1
    weight = rng.uniform(0.2, 3, size=(rows, steps))
    loss = getattr(lstm_ref.losses, name)(**options)
    gradient = loss.gradient(y_true, y_pred, weight, mask)
    step = 1e-6
    for index in np.ndindex(y_pred.shape):
        moved = np.zeros(sizes)
        moved[index] = step
        ends = [loss.value(y_true, y_pred + s * moved, weight, mask) for s in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * step)
        assert gradient[index] == pytest.approx(slope, rel=1e-6, abs=1e-9), index


@pytest.mark.parametrize("case", LOSSES, ids=name_of)
def test_what_masked_steps_hold_is_never_looked_at(case, rng):
    name, options = case
    y_true, y_pred, mask = arrays(name, options, rng)
    loss = getattr(lstm_ref.losses, name)(**options)
    target, _ = loss.fit_target(y_true, y_pred.shape, y_pred.dtype)
    weight = rng.random((B, T))
    clean = loss.value(target, y_pred, weight, mask)
    d_clean = loss.gradient(target, y_pred, weight, mask)
    weight[~mask] = np.nan
    y_pred[~mask] = np.inf
    target[~mask] = 99 if target.dtype.kind == "i" else np.nan
    assert loss.value(target, y_pred, weight, mask) == clean
    np.testing.assert_array_equal(loss.gradient(target, y_pred, weight, mask), d_clean)
    assert not d_clean[~mask].any()


@pytest.mark.parametrize("case", LOSSES, ids=name_of)
def test_nothing_real_costs_nothing(case, rng):
    name, options = case
    y_true, y_pred, _ = arrays(name, options, rng)
    loss = getattr(lstm_ref.losses, name)(**options)
    mask = np.zeros((B, T), bool)
    assert loss(y_true, y_pred, mask=mask) == 0
    target, _ = loss.fit_target(y_true, y_pred.shape, y_pred.dtype)
    assert not loss.gradient(target, y_pred, None, mask).any()


@pytest.mark.parametrize("case", LOSSES, ids=name_of)
def test_a_batch_in_parts_is_judged_as_a_whole(case, rng):
    """What training in pieces does: the divisor of the whole, and the sum of the pieces."""
    name, options = case
    y_true, y_pred, mask = arrays(name, options, rng)
    loss = getattr(lstm_ref.losses, name)(**options)
    target, _ = loss.fit_target(y_true, y_pred.shape, y_pred.dtype)
    if options.get("ignore_class") is not None:
        with pytest.raises(UnsupportedError, match="for which a batch must be whole"):
            loss.divisor((B, T), mask)
        return
    weight = rng.random((B, T))
    whole = loss.value(target, y_pred, weight, mask)
    d_whole = loss.gradient(target, y_pred, weight, mask)
    divisor = loss.divisor((B, T), mask)
    assert divisor == np.count_nonzero(mask)
    pieces = [np.s_[:, :2], np.s_[:, 2:]]
    parts = [(target[p], y_pred[p], weight[p], mask[p], divisor) for p in pieces]
    assert sum(loss.value(*part) for part in parts) == pytest.approx(whole, rel=1e-14)
    d_parts = np.concatenate([loss.gradient(*part) for part in parts], axis=1)
    np.testing.assert_array_equal(d_parts, d_whole)


def test_divisors():
    loss = lr.losses.MeanSquaredError()
    assert loss.divisor((3, 4), None) == 12
    assert loss.divisor((3,), None) == 3
    assert loss.divisor((3, 4), np.zeros((3, 4), bool)) == 1
    assert lr.losses.MeanSquaredError("sum").divisor((3, 4), None) == 1
    for reduction in ("none", None, "mean_with_sample_weight"):
        with pytest.raises(UnsupportedError, match="for which a batch must be whole"):
            lr.losses.MeanSquaredError(reduction).divisor((3, 4), None)


def test_weights_a_row_count_as_often_as_they_are_used(rng):
    """Keras divides by their sum over rows, unless there is a mask."""
    y_true, y_pred, _ = arrays("MeanSquaredError", {}, rng)
    weight = weights((B, 1), rng)
    ours = lr.losses.MeanSquaredError("mean_with_sample_weight")
    every, no_mask = ours(y_true, y_pred, as_steps(weight)), ours(y_true, y_pred, weight)
    assert no_mask == pytest.approx(every, rel=1e-14)
    with library_dtype("float64"):
        theirs = keras_library().losses.MeanSquaredError("mean_with_sample_weight")
        assert float(theirs(y_true, y_pred, weight)) == pytest.approx(T * no_mask, rel=1e-14)


def test_one_number_weighs_all_steps(rng):
    y_true, y_pred, mask = arrays("MeanSquaredError", {}, rng)
    loss = lr.losses.MeanSquaredError()
    for m in (None, mask):
        weighted = loss(y_true, y_pred, 2.5, mask=m)
        assert weighted == pytest.approx(2.5 * loss(y_true, y_pred, mask=m), rel=1e-14)


# The functions, the names and the configs.

FUNCTIONS = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "log_cosh",
    "huber",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
)


def case_of(function: str) -> tuple[str, dict[str, bool]]:
    kind = function.partition("_")[0].capitalize()
    return (kind if "entropy" in function else "MeanSquaredError", {"from_logits": False})


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_functions_give_the_error_of_every_step(function, rng):
    y_true, y_pred, _ = arrays(*case_of(function), rng)
    more = [{}]
    if "entropy" in function:
        more.append({"from_logits": True})
        if not function.startswith("sparse"):
            more.append({"label_smoothing": 0.2})
        else:
            more.append({"ignore_class": 1})
    if function == "huber":
        more.append({"delta": 0.5})
    for options in more:
        got = getattr(lr.losses, function)(y_true, y_pred, **options)
        with library_dtype("float64"):
            expected = getattr(keras_library().losses, function)(y_true, y_pred, **options)
        assert got.shape == (B, T)
        assert_close(got, np.asarray(expected), ulps=30, what=str(options))


ALIASES = {
    "mse": 0, "MSE": 0, "mae": 1, "MAE": 1, "mape": 2, "MAPE": 2, "msle": 3, "MSLE": 3,
    "bce": 6, "BCE": 6,
}  # fmt: skip


@pytest.mark.parametrize("identifier", [*FUNCTIONS, *ALIASES])
def test_names_mean_what_they_do_in_keras(identifier, rng):
    function = FUNCTIONS[ALIASES[identifier]] if identifier in ALIASES else identifier
    theirs = keras_library().losses.get(identifier)
    assert theirs.__name__ == function
    for given in (identifier, getattr(lr.losses, function)):
        loss = lr.losses.get(given)
        assert loss.name == (given if isinstance(given, str) else function)
        y_true, y_pred, _ = arrays(*case_of(function), rng)
        expected = np.mean(getattr(lr.losses, function)(y_true, y_pred))
        assert loss(y_true, y_pred) == pytest.approx(expected, rel=1e-14)
        again = lr.losses.get(json.loads(json.dumps(lr.losses.serialize(loss))))
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()


@pytest.mark.parametrize("case", LOSSES, ids=name_of)
def test_classes_and_configs(case, rng):
    name, options = case
    kind = getattr(lr.losses, name)
    theirs = getattr(keras_library().losses, name)()
    assert lr.losses.get(name).name == lr.losses.get(kind).name == theirs.name
    loss = kind(reduction="sum", name="mine", **options)
    entry = json.loads(json.dumps(lr.losses.serialize(loss)))
    again = lr.losses.deserialize(entry)
    assert again.get_config() == loss.get_config() == kind.from_config(entry["config"]).get_config()
    assert (again.name, again.reduction) == ("mine", "sum")
    y_true, y_pred, mask = arrays(name, options, rng)
    assert again(y_true, y_pred, mask=mask) == loss(y_true, y_pred, mask=mask)
    assert set(theirs.get_config()) <= set(loss.get_config())


@pytest.mark.parametrize(
    ("shape", "predicted", "means"),
    [
        ((B, T, 1), (B, T, 1), "binary"),
        ((B, T), (B, T, 1), "binary"),
        ((B, T), (B, T, K), "sparse_categorical"),
        ((B, T, 1), (B, T, K), "sparse_categorical"),
        ((B,), (B, K), "sparse_categorical"),
        ((B, T, K), (B, T, K), "categorical"),
    ],
)
@pytest.mark.parametrize("name", ["crossentropy", "CE"])
def test_crossentropy_is_what_the_shapes_say(name, shape, predicted, means, rng):
    loss = lr.losses.get(name)
    assert loss.name == name
    assert loss.link is None
    y = rng.integers(0, 2, shape)
    if means == "categorical":
        y = np.eye(K)[y[..., 0]]
    p = rng.uniform(0.1, 0.9, predicted)
    expected = lr.losses.get(f"{means}_crossentropy")
    assert loss(y, p) == expected(y, p)
    assert loss.link == expected.link
    assert loss.on_logits()(y, p) == expected.on_logits()(y, p) != loss(y, p)
    assert lr.losses.get(lr.losses.serialize(loss)).name == name


def test_links_and_doubts():
    linked = {
        "binary_crossentropy": "sigmoid",
        "categorical_crossentropy": "softmax",
        "sparse_categorical_crossentropy": "softmax",
    }
    for function in FUNCTIONS:
        loss = lr.losses.get(function)
        own = linked.get(function)
        assert loss.link == own
        assert loss.doubt(own) is None
        assert loss.doubt("tanh") is None
        if own is None:
            assert loss.on_logits() is loss
            continue
        assert loss.on_logits().name == loss.name
        other = {"softmax": "sigmoid", "sigmoid": "softmax"}[own]
        assert f"belongs to a {own}, and the model ends in a {other}" in loss.doubt(other)
        from_logits = lr.losses.get({"class_name": type(loss).__name__,
                                     "config": {"from_logits": True}})  # fmt: skip
        assert from_logits.link == own
        assert "one of the two is too much" in from_logits.doubt(own)
    assert lr.losses.SparseCategoricalCrossentropy(ignore_class=0).link is None


# A loss of one's own.


def cubed(y_true, y_pred):
    return np.mean(np.abs(y_pred - y_true) ** 3, axis=-1)


def d_cubed(y_true, y_pred):
    d = y_pred - y_true
    return 3 * d * np.abs(d) / d.shape[-1]


@pytest.mark.parametrize("given", [(cubed, d_cubed), lr.losses.CustomLoss(cubed, d_cubed)])
def test_a_loss_of_ones_own_has_masks_and_weights_like_every_other(given, rng):
    loss = lr.losses.get(given)
    assert loss.name == "cubed"
    y_true, y_pred, mask = arrays("MeanSquaredError", {}, rng)
    e, d = cubed(y_true, y_pred), d_cubed(y_true, y_pred)
    weight = weights((B, T), rng)
    assert loss(y_true, y_pred) == pytest.approx(e.mean(), rel=1e-14)
    assert loss(y_true[:, 0], y_pred[:, 0]) == pytest.approx(e[:, 0].mean(), rel=1e-14)
    masked = np.sum(e * weight * mask) / mask.sum()
    assert loss(y_true, y_pred, weight, mask) == pytest.approx(masked, rel=1e-14)
    expected = d * (weight * mask / mask.sum())[..., None]
    got = loss.gradient(y_true, y_pred, weight, mask)
    np.testing.assert_allclose(got, expected, rtol=1e-14, atol=0)
    with pytest.raises(UnsupportedError, match="a function of your own, which a file cannot hold"):
        lr.losses.serialize(loss)


@pytest.mark.parametrize(
    ("function", "gradient", "sentence"),
    [
        (
            lambda t, y: (y - t) ** 2,
            d_cubed,
            "mine gave an array of shape (20, 3) for predictions [n,K] of shape (20, 3), and (20,)",
        ),
        (
            lambda t, y: np.mean((y - t) ** 2),
            d_cubed,
            "mine gave an array of shape () for predictions",
        ),
        (
            cubed,
            lambda t, y: (y - t).sum(axis=-1),
            "the gradient of mine gave an array of shape (20,) for predictions [n,K] of shape",
        ),
    ],
)
def test_a_function_of_another_shape_gets_a_sentence(function, gradient, sentence, rng):
    loss = lr.losses.CustomLoss(function, gradient, name="mine")
    y_true, y_pred, _ = arrays("MeanSquaredError", {}, rng)
    judge = loss.value if "gradient" not in sentence else loss.gradient
    with pytest.raises(ShapeError, match=re.escape(sentence)):
        judge(y_true, y_pred, None, None)


# What is refused, and mistakes.


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: lr.losses.get("hinge"), UnsupportedError, "loss='hinge' is not supported: there"),
        (lambda: lr.losses.get(["mse"]), UnsupportedError, "loss=['mse'] is not supported"),
        (
            lambda: lr.losses.get(cubed),
            UnsupportedError,
            "is a function of your own, and training needs its gradient too: give both",
        ),
        (
            lambda: lr.losses.get({"class_name": "Dice", "config": {}}),
            UnsupportedError,
            "the loss 'Dice' is not supported: there are MeanSquaredError",
        ),
        (
            lambda: lr.losses.get({"class_name": "Huber", "config": {"gamma": 1}}),
            UnsupportedError,
            "a Huber cannot have {'gamma': 1}",
        ),
        (
            lambda: lr.losses.MeanSquaredError("average"),
            ValueError,
            "MeanSquaredError(reduction='average'): one of 'sum_over_batch_size', 'mean'",
        ),
        (
            lambda: lr.losses.MeanSquaredError(dtype="float64"),
            UnsupportedError,
            "a loss computes in its model's dtype",
        ),
        (lambda: lr.losses.Huber(0), ValueError, "Huber(delta=0): a number above 0 is needed"),
        (
            lambda: lr.losses.BinaryCrossentropy(axis=1),
            UnsupportedError,
            "BinaryCrossentropy(axis=1) is not supported: the outputs are the last axis, -1",
        ),
        (
            lambda: lr.losses.CategoricalCrossentropy(label_smoothing=1.5),
            ValueError,
            "CategoricalCrossentropy(label_smoothing=1.5): a number from 0 to 1 is needed",
        ),
        (
            lambda: lr.losses.SparseCategoricalCrossentropy(ignore_class=0.5),
            ValueError,
            "SparseCategoricalCrossentropy(ignore_class=0.5): a whole number is needed",
        ),
        (
            lambda: lr.losses.CustomLoss(cubed, None),
            TypeError,
            "CustomLoss(gradient=None): a function is needed",
        ),
        (
            lambda: lr.losses.MeanSquaredError("none").value(np.ones((2, 1)), np.ones((2, 1)),
                                                             None, None),
            UnsupportedError,
            "is a number for every step, and training needs one for all",
        ),
        (lambda: lr.losses.MeanSquaredError()(1.0, 2.0), ShapeError, "y_pred is one number"),
        (
            lambda: lr.losses.MeanSquaredError()(np.zeros((2, 4, 1)), np.zeros((2, 5, 1))),
            ShapeError,
            "the target y has shape",
        ),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused_by_name(make, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        make()


def test_one_class_alone_is_warned_of(rng):
    with pytest.warns(UserWarning, match="one output, which a softmax makes 1"):
        lr.losses.CategoricalCrossentropy()(np.ones((B, T, 1)), np.ones((B, T, 1)))
