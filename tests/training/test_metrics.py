"""Metrics against Keras over several batches: masks, weights, names, and the report of an epoch."""

import json
import re

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.training.metrics import Report, get_all, serialize
from tests.keras_peer import keras_library, library_dtype
from tests.training.loss_cases import B, K, T, arrays, masked_tensor, name_of, weights

METRICS = [
    *((f"Mean{kind}Error", {}) for kind in ("Squared", "Absolute", "AbsolutePercentage")),
    ("MeanSquaredLogarithmicError", {}),
    ("LogCoshError", {}),
    ("RootMeanSquaredError", {}),
    ("Accuracy", {}),
    ("BinaryAccuracy", {}),
    ("BinaryAccuracy", {"threshold": 0.8}),
    ("CategoricalAccuracy", {}),
    ("SparseCategoricalAccuracy", {}),
    ("TopKCategoricalAccuracy", {"k": 2}),
    ("SparseTopKCategoricalAccuracy", {"k": 2}),
    *((f"{kind}Crossentropy", {}) for kind in ("Binary", "Categorical", "SparseCategorical")),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
    ("SparseCategoricalCrossentropy", {"from_logits": True}),
]


def as_keras_reads(name, y_pred):
    """TensorFlow's in_top_k computes in float32 alone."""
    return y_pred.astype("float32") if "TopK" in name else y_pred


@pytest.mark.parametrize("case", METRICS, ids=name_of)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weight_shape", [None, (B, 1), (B, "T"), (B, "T", 1)])
def test_metrics_equal_keras_over_several_batches(case, masked, weight_shape, rng):
    """Of sequences of different lengths, too: a row counts alike, however many steps it has."""
    name, options = case
    ours = getattr(lr.metrics, name)(**options)
    with library_dtype("float64"):
        theirs = getattr(keras_library().metrics, name)(**options)
        for steps in (T, T, 2):
            shape = weight_shape and tuple(steps if n == "T" else n for n in weight_shape)
            y_true, y_pred, mask = arrays(name, options, rng, steps=steps)
            mask, weight = (mask if masked else None), weights(shape, rng)
            if masked and name == "RootMeanSquaredError":  # which in Keras loses the mask
                of_steps = mask if weight is None else weight.reshape(weight.shape[:2]) * mask
                theirs.update_state(y_true, y_pred, sample_weight=of_steps)
            else:
                tensor = masked_tensor(as_keras_reads(name, y_pred), mask)
                theirs.update_state(y_true, tensor, sample_weight=weight)
            result = ours(y_true, y_pred, sample_weight=weight, mask=mask)
            assert result == ours.result()
            assert result == pytest.approx(float(theirs.result()), rel=1e-13)
    assert ours.name == theirs.name
    ours.reset_state()
    assert ours.result() == 0


@pytest.mark.parametrize("case", METRICS, ids=name_of)
def test_one_prediction_a_row_equals_keras(case, rng):
    name, options = case
    y_true, y_pred, _ = arrays(name, options, rng)
    weight = weights((B,), rng)
    with library_dtype("float64"):
        theirs = getattr(keras_library().metrics, name)(**options)
        of_row = as_keras_reads(name, y_pred[:, 0])
        expected = float(theirs(y_true[:, 0], of_row, sample_weight=weight))
    got = getattr(lr.metrics, name)(**options)(y_true[:, 0], y_pred[:, 0], weight)
    assert got == pytest.approx(expected, rel=1e-13)


def test_a_root_mean_squared_error_sees_the_mask(rng):
    y_true, y_pred, mask = arrays("MeanSquaredError", {}, rng)
    y_pred[~mask] = np.nan
    root = lr.metrics.RootMeanSquaredError()(y_true, y_pred, mask=mask)
    squared = lr.metrics.MeanSquaredError()(y_true, y_pred, mask=mask)
    assert root == pytest.approx(np.sqrt(squared), rel=1e-14)


@pytest.mark.parametrize("aggregation", [None, "uniform_average", "variance_weighted_average"])
@pytest.mark.parametrize("regressors", [0, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_r2_equals_keras(aggregation, regressors, weighted, rng):
    ours = lr.metrics.R2Score(aggregation, regressors)
    with library_dtype("float64"):
        theirs = keras_library().metrics.R2Score(aggregation, regressors)
        for _ in range(3):
            y_true = rng.normal(size=(B, K)) * [1, 2, 5]
            y_pred = y_true + rng.normal(size=(B, K))
            weight = weights((B,), rng) if weighted else None
            theirs.update_state(y_true, y_pred, sample_weight=weight)
            got = ours(y_true, y_pred, sample_weight=weight)
            np.testing.assert_allclose(got, theirs.result(), rtol=1e-6 if regressors else 1e-12)
    assert ours.name == theirs.name
    ours.reset_state()
    assert ours.result() == 0


def test_r2_of_sequences_is_that_of_their_real_steps(rng):
    y_true, y_pred, mask = arrays("MeanSquaredError", {}, rng)
    weight = rng.random((B, T))
    one_by_one = lr.metrics.R2Score()(y_true[mask], y_pred[mask], weight[mask])
    y_true[~mask] = y_pred[~mask] = np.nan
    assert lr.metrics.R2Score()(y_true, y_pred, weight, mask) == pytest.approx(one_by_one)


def test_r2_where_it_has_no_meaning():
    alike = np.ones((4, 1))
    with library_dtype("float64"):
        for y_pred in (alike, alike + 1):
            theirs = float(keras_library().metrics.R2Score()(alike, y_pred))
            np.testing.assert_equal(lr.metrics.R2Score()(alike, y_pred), theirs)
    few = lr.metrics.R2Score(num_regressors=4)
    y = np.array([[1.0], [2.0], [4.0]])
    few.update_state(y, y + 0.5)
    with pytest.warns(UserWarning, match="has seen 3 observations, which are too few"):
        assert few.result() == lr.metrics.R2Score()(y, y + 0.5)
    with pytest.raises(ShapeError, match=r"predictions of shape \(2,\), .*use y\[:, None\]"):
        few.update_state([0.0, 1.0], [0.0, 1.0])
    with pytest.raises(ShapeError, match=r"R2Score has seen 1 outputs, and 2 came"):
        few.update_state(np.ones((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_the_k_largest_as_tensorflow_counts_them(k, rng):
    """Ties count for the label; rows that are not finite, and labels that are no class, never."""
    labels = rng.integers(0, 4, (50,))
    y_pred = rng.integers(0, 3, (50, 4)).astype(float)
    y_pred[::9, 1], y_pred[1::9, 2] = np.nan, np.inf
    labels[2::9] = -1
    ours = lr.metrics.sparse_top_k_categorical_accuracy(labels, y_pred, k)
    with library_dtype("float64"):
        metrics = keras_library().metrics
        theirs = metrics.sparse_top_k_categorical_accuracy(labels, y_pred.astype("float32"), k)
    np.testing.assert_array_equal(ours, np.asarray(theirs))
    assert 0 < ours.sum() < ours.size


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("binary_accuracy", "BinaryAccuracy"),
        ("categorical_accuracy", "CategoricalAccuracy"),
        ("sparse_categorical_accuracy", "SparseCategoricalAccuracy"),
        ("top_k_categorical_accuracy", "TopKCategoricalAccuracy"),
        ("sparse_top_k_categorical_accuracy", "SparseTopKCategoricalAccuracy"),
    ],
)
def test_the_functions_say_of_every_step_whether_it_is_right(function, kind, rng):
    y_true, y_pred, _ = arrays(kind, {}, rng)
    options = {"k": 2} if "top_k" in function else {}
    with library_dtype("float64"):
        y_keras = as_keras_reads(kind, y_pred)
        expected = getattr(keras_library().metrics, function)(y_true, y_keras, **options)
    got = getattr(lr.metrics, function)(y_true, y_pred, **options)
    np.testing.assert_array_equal(got, np.asarray(expected))


@pytest.mark.parametrize(
    ("values", "weight"),
    [
        ((B, T), None),
        ((B, T), (B,)),
        ((B, T), (B, 1)),
        ((B, T), (B, T)),
        ((B, T), (B, T, 1)),
        ((B, T, K), (B, T)),
        ((B,), (B,)),
        ((), None),
    ],
)
def test_the_mean_of_anything_equals_keras(values, weight, rng):
    ours = lr.metrics.Mean()
    with library_dtype("float64"):
        theirs = keras_library().metrics.Mean()
        for _ in range(2):
            v, w = rng.normal(size=values), weights(weight, rng)
            theirs.update_state(v, sample_weight=w)
            assert ours(v, w) == pytest.approx(float(theirs.result()), rel=1e-13)
    with pytest.raises(ShapeError, match="their first axes must be the same"):
        ours.update_state(np.ones((2, 3)), np.ones((3, 2)))


# Names, functions and objects.

NAMES = [
    *("mse", "MSE", "mean_squared_error", "MeanSquaredError", "mae", "MAE", "mape", "MAPE"),
    *("msle", "MSLE", "root_mean_squared_error", "RootMeanSquaredError", "log_cosh_error"),
    *("bce", "BCE", "binary_crossentropy", "categorical_crossentropy"),
    *("sparse_categorical_crossentropy", "accuracy", "binary_accuracy", "categorical_accuracy"),
    *("sparse_categorical_accuracy", "top_k_categorical_accuracy", "r2_score", "R2Score"),
    *("sparse_top_k_categorical_accuracy", "Accuracy"),
]


@pytest.mark.parametrize("identifier", NAMES)
def test_names_mean_what_they_do_in_keras(identifier):
    theirs, ours = keras_library().metrics.get(identifier), lr.metrics.get(identifier)
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.name == identifier
    again = lr.metrics.get(json.loads(json.dumps(lr.metrics.serialize(ours))))
    assert (type(again), again.get_config()) == (type(ours), ours.get_config())


@pytest.mark.parametrize("case", METRICS, ids=name_of)
def test_classes_and_configs(case):
    name, options = case
    kind = getattr(lr.metrics, name)
    metric = kind(name="mine", **options)
    assert lr.metrics.get(kind).name == kind().name
    entry = json.loads(json.dumps(lr.metrics.serialize(metric)))
    again = lr.metrics.get(entry)
    assert again.get_config() == metric.get_config()
    assert kind.from_config(entry["config"]).get_config() == metric.get_config()
    theirs = getattr(keras_library().metrics, name)(name="mine", **options).get_config()
    assert set(theirs) - {"dtype"} - set(metric.get_config()) <= {"ignore_class"}


def right_to_the_half(y_true, y_pred):
    return np.abs(y_true - y_pred) < 0.5


def test_metrics_by_function_and_object(rng):
    y_true, y_pred, mask = arrays("MeanSquaredError", {}, rng)
    given = [
        *(lr.losses.mean_squared_error, lr.losses.huber, lr.metrics.binary_accuracy),
        *(
            right_to_the_half,
            lambda t, y: (t - y).max(axis=-1),
            lr.metrics.MeanAbsoluteError("far"),
        ),
    ]
    metrics = get_all(given, "metrics")
    names = ["mean_squared_error", "huber", "binary_accuracy", "right_to_the_half", "lambda", "far"]
    assert [m.name for m in metrics] == names
    weight = weights((B, T), rng)
    for metric, e in (
        (metrics[1], lr.losses.huber(y_true, y_pred)),
        (metrics[3], np.mean(right_to_the_half(y_true, y_pred), axis=-1)),
        (metrics[4], (y_true - y_pred).max(axis=-1)),
    ):
        metric.add(y_true, y_pred, weight, mask)
        expected = np.sum(e * weight * mask) / np.sum(weight * mask)
        assert metric.result() == pytest.approx(expected, rel=1e-6)
    labels, p, _ = arrays("SparseCategoricalAccuracy", {}, rng)
    own = lr.metrics.get(lambda t, y: y[np.arange(len(t)), t])
    own.add(labels, p, None, None)
    expected = np.take_along_axis(p, labels[..., None], axis=-1)
    assert own.result() == pytest.approx(expected.mean())


@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy", "ACC"])
@pytest.mark.parametrize(
    ("shape", "predicted", "means"),
    [
        ((B, T, 1), (B, T, 1), "BinaryAccuracy"),
        ((B, T), (B, T, K), "SparseCategoricalAccuracy"),
        ((B,), (B, K), "SparseCategoricalAccuracy"),
        ((B, T, K), (B, T, K), "CategoricalAccuracy"),
    ],
)
def test_accuracy_is_what_the_shapes_say(name, shape, predicted, means, rng):
    (metric,) = get_all([name], "metrics")
    assert metric.name == serialize(metric) == name
    y = rng.integers(0, 2, shape)
    if means == "CategoricalAccuracy":
        y = np.eye(K)[y[..., 0]]
    p = rng.uniform(size=predicted)
    assert metric(y, p) == getattr(lr.metrics, means)()(y, p)
    assert 0 < metric.result() < 1


# The report of an epoch.


def test_repeated_names_are_told_apart_as_in_keras():
    metrics = get_all(["mse", "mae", "mse"], "metrics")
    weighted = get_all(["mse", "MSE", "mae", "mse"], "weighted_metrics")
    assert Report(metrics, weighted).names == [
        *("mse", "mae", "mse_1"),
        *("weighted_mse", "MSE", "weighted_mae", "weighted_mse_1"),
    ]


def test_a_report_gives_masks_to_all_and_weights_to_some(rng):
    y_true, y_pred, mask = arrays("MeanSquaredError", {}, rng)
    weight = weights((B, T), rng)
    report = Report(get_all(["mse"], "metrics"), get_all(["mse"], "weighted_metrics"))
    report.add(3.0, y_true, y_pred, weight, mask)
    report.add(1.0, y_true[:1], y_pred[:1], weight[:1], mask[:1])
    plain, weighted = lr.metrics.MeanSquaredError(), lr.metrics.MeanSquaredError()
    for rows in (slice(None), slice(1)):
        plain.update_state(y_true[rows], y_pred[rows], mask=mask[rows])
        weighted.update_state(y_true[rows], y_pred[rows], weight[rows], mask[rows])
    assert report.result() == {
        "loss": (B * 3.0 + 1.0) / (B + 1),
        "mse": plain.result(),
        "weighted_mse": weighted.result(),
    }
    report.reset()
    assert set(report.result().values()) == {0.0}


def test_a_report_shows_logits_to_those_who_read_them(rng):
    """A softmax so sure of itself that its probabilities say no more."""
    labels, z, mask = arrays("SparseCategoricalAccuracy", {"from_logits": True}, rng, scale=300)
    p = lr.activations.softmax(z)
    given = ["sparse_categorical_crossentropy", "acc"]
    report = Report(get_all(given, "metrics"), [])
    assert report.links == {"softmax"}
    exact = lr.metrics.SparseCategoricalCrossentropy(from_logits=True)(labels, z, mask=mask)
    clipped = lr.metrics.SparseCategoricalCrossentropy()(labels, p, mask=mask)
    assert exact > 2 * clipped
    for logits, link, expected in (
        (z, "softmax", exact),
        (None, None, clipped),
        (z, "sigmoid", clipped),
    ):
        report.reset()
        report.add(0.0, labels, p, None, mask, logits, link)
        assert report.result()["sparse_categorical_crossentropy"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "target", "sentence"),
    [
        (
            "mse",
            (B, T),
            "for the metric 'mse', the target y has shape (4, 5), and the model predict",
        ),
        (
            "categorical_accuracy",
            (B, T),
            "for the metric 'categorical_accuracy', the target y has shape (4, 5), a label",
        ),
        (
            "sparse_categorical_accuracy",
            (B, T, K),
            "this is a column for each class; use categorical_crossentropy",
        ),
    ],
)
def test_a_metric_for_other_targets_than_the_loss_says_so(metric, target, sentence):
    report = Report(get_all([metric], "metrics"), [])
    with pytest.raises(ShapeError, match=re.escape(sentence)):
        report.add(0.0, np.zeros(target, int), np.ones((B, T, K)), None, None)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: lr.metrics.get("auc"), "the metric 'auc' is not supported: there are 'accuracy'"),
        (lambda: lr.metrics.get("huber"), "is: metrics=[lr.losses.huber]"),
        (lambda: lr.metrics.get("ce"), "the metric 'ce' is not supported"),
        (lambda: lr.metrics.get(lr.losses.Huber()), "is a loss: give the metric of that name"),
        (lambda: lr.metrics.get(lr.losses.Huber), "is a loss: give the metric of that name"),
        (lambda: lr.metrics.get({"class_name": "AUC"}), "the metric 'AUC' is not supported"),
        (
            lambda: lr.metrics.get({"class_name": "Mean", "config": {"k": 1}}),
            "a Mean cannot have {'k': 1}",
        ),
        (lambda: get_all("mae", "metrics"), "metrics='mae': a list is needed"),
        (lambda: get_all(["mean"], "metrics"), "which compares nothing with the target"),
        (
            lambda: get_all([lr.metrics.R2Score(None)], "metrics"),
            "an R2Score(class_aggregation=None), which is a number for each output",
        ),
        (
            lambda: lr.metrics.MeanSquaredError(dtype="float64"),
            "a metric accumulates in float64",
        ),
        (
            lambda: lr.metrics.SparseCategoricalCrossentropy(ignore_class=0),
            "metrics.SparseCategoricalCrossentropy(ignore_class=0) is not supported",
        ),
        (
            lambda: lr.metrics.SparseTopKCategoricalAccuracy(from_sorted_ids=True),
            "from_sorted_ids=True) is not supported",
        ),
        (
            lambda: serialize(lr.metrics.get(right_to_the_half)),
            "the metric 'right_to_the_half' is a function or a class of your own",
        ),
    ],
)
def test_what_is_not_there_is_refused_by_name(make, sentence):
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        make()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: lr.metrics.R2Score("sum"), "R2Score(class_aggregation='sum'): one of None, 'uni"),
        (lambda: lr.metrics.R2Score(num_regressors=-1), "R2Score(num_regressors=-1): a whole"),
        (lambda: lr.metrics.TopKCategoricalAccuracy(0), "TopKCategoricalAccuracy(k=0): a positive"),
        (lambda: lr.metrics.BinaryAccuracy(threshold="0"), "BinaryAccuracy(threshold='0'): a num"),
        (
            lambda: lr.metrics.get(lambda t, y: 1.0)(np.ones((2, 3)), np.ones((2, 3))),
            "the metric 'lambda' gave an array of shape () for predictions [n,K] of shape (2, 3)",
        ),
    ],
)
def test_mistakes_get_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make()
