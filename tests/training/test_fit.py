"""A whole fit against Keras: every epoch's loss and metrics, and the final weights.

Both begin from the same weights and see the rows in the same order (shuffle=False). float64 is the
sharp comparison: a rule that is only nearly right shows a million times over. Every optimizer is
run with every loss, each time with another way of masking and weighting, and every such way with
every loss.
"""

from itertools import cycle
from typing import Any

import numpy as np
import pytest

from tests.keras_peer import OURS, Library, assert_close, keras_library, library_dtype, twin_models

N, T, D, K = 10, 6, 3, 2
BATCH, EPOCHS = 4, 3  # two whole batches and one of two rows

OPTIMIZERS = {
    "sgd": lambda lib: lib.optimizers.SGD(0.1),
    "momentum": lambda lib: lib.optimizers.SGD(0.05, momentum=0.9),
    "nesterov": lambda lib: lib.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda lib: lib.optimizers.Adam(0.01, beta_1=0.8, beta_2=0.95),
    "rmsprop": lambda lib: lib.optimizers.RMSprop(0.01),
    "rmsprop momentum": lambda lib: lib.optimizers.RMSprop(0.01, rho=0.8, momentum=0.7),
    "rmsprop centered": lambda lib: lib.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
}
LOSSES = ("mse", "mae")
WAYS: dict[str, tuple[bool, tuple[int, ...] | None]] = {
    # name: (masked, shape of the sample weights)
    "plain": (False, None),
    "mask": (True, None),
    "weights (N,1)": (False, (N, 1)),
    "weights (N,T)": (False, (N, T)),
    "weights (N,T,1)": (False, (N, T, 1)),
    "mask and weights (N,1)": (True, (N, 1)),
    "mask and weights (N,T)": (True, (N, T)),
}
PAIRS = [(optimizer, loss) for optimizer in OPTIMIZERS for loss in LOSSES]
CASES = [(*pair, way) for pair, way in zip(PAIRS, cycle(WAYS), strict=False)]

ULPS = 20
"""Nine steps, each with its own rounding; measured: at most 5."""


def data(way: str, rng: np.random.Generator, dtype: str) -> tuple[Any, Any, Any]:
    """x, with rows padded right, left, in the middle and wholly; y; sample weights or None."""
    masked, shape = WAYS[way]
    x = rng.normal(size=(N, T, D))
    if masked:
        x[1, 3:], x[4, :2], x[9, 2], x[7] = 0, 0, 0, 0
    y = rng.normal(size=(N, T, K))
    weight = None if shape is None else rng.uniform(0.2, 3, size=shape).astype(dtype)
    return x.astype(dtype), y.astype(dtype), weight


def stacked(masked: bool, *, per_step: bool = True):
    """Two LSTMs and a head."""

    def build(lib: Library) -> Any:
        return lib.models.Sequential(
            [
                lib.layers.Input((T, D)),
                *([lib.layers.Masking()] if masked else []),
                lib.layers.LSTM(5, return_sequences=True, name="lower"),
                lib.layers.LSTM(4, return_sequences=per_step, name="upper"),
                lib.layers.Dense(K, name="head"),
            ]
        )

    return build


def fit(model: Any, lib: Library, optimizer: str, loss: str, xyw: Any, **arguments: Any) -> Any:
    """The history."""
    x, y, weight = xyw
    model.compile(
        OPTIMIZERS[optimizer](lib), loss, metrics=["mse", "mae"], weighted_metrics=["mae"]
    )
    options = {"batch_size": BATCH, "epochs": EPOCHS, "shuffle": False, "verbose": 0, **arguments}
    return model.fit(x, y, sample_weight=weight, **options).history


def check(build: Any, optimizer: str, loss: str, xyw: Any, rng: Any, ulps: float, **arguments: Any):
    """Both models fitted and compared, in the dtype of x; returned to be looked at further."""
    theirs, ours = twin_models(build, rng, (None, T, D))
    expected = fit(theirs, keras_library(), optimizer, loss, xyw, **arguments)
    got = fit(ours, OURS, optimizer, loss, xyw, **arguments)
    assert sorted(got) == sorted(expected)  # Keras sorts the names
    dtype = xyw[0].dtype
    for name, values in got.items():
        assert_close(np.array(values, dtype), np.array(expected[name], dtype), ulps=ulps, what=name)
    for name, a, b in zip(ours.named_weights(), ours.weights, theirs.get_weights(), strict=True):
        assert_close(a, b, ulps=ulps, what=name)
    return theirs, ours


@pytest.mark.parametrize(("optimizer", "loss", "way"), CASES)
def test_every_optimizer_loss_mask_and_weight(optimizer, loss, way, rng):
    with library_dtype("float64"):
        check(stacked(WAYS[way][0]), optimizer, loss, data(way, rng, "float64"), rng, ULPS)


@pytest.mark.parametrize(
    ("optimizer", "loss", "way"),
    [
        ("sgd", "mse", "mask"),
        ("adam", "mse", "mask and weights (N,T)"),
        ("rmsprop centered", "mae", "plain"),
    ],
)
def test_in_float32_too(optimizer, loss, way, rng):
    with library_dtype("float32"):
        check(stacked(WAYS[way][0]), optimizer, loss, data(way, rng, "float32"), rng, ulps=16)


@pytest.mark.parametrize("shape", [None, (N,), (N, 1)])
def test_one_prediction_a_row(shape, rng):
    """The mask ends at the last LSTM: rows count alike, however many real steps they have."""
    x, y, _ = data("mask", rng, "float64")
    weight = None if shape is None else rng.uniform(0.2, 3, size=shape)
    with library_dtype("float64"):
        check(stacked(True, per_step=False), "adam", "mse", (x, y[:, 0], weight), rng, ULPS)


@pytest.mark.parametrize("weight_shape", [None, (N,), (N, 1)])
def test_a_target_without_its_last_axis_of_one(weight_shape, rng):
    """Keras squeezes the predictions to the target's (N,T); a weight is then one a row."""

    def build(lib: Library) -> Any:
        layers = lib.layers
        return lib.models.Sequential(
            [layers.Input((T, D)), layers.LSTM(4, return_sequences=True), layers.Dense(1)]
        )

    x, y, _ = data("plain", rng, "float64")
    weight = None if weight_shape is None else rng.uniform(0.2, 3, size=weight_shape)
    with library_dtype("float64"):
        check(build, "adam", "mse", (x, y[..., 0], weight), rng, ULPS)


def test_validation_split_takes_the_last_rows_and_validation_data_goes_before_it(rng):
    x, y, weight = data("mask and weights (N,1)", rng, "float64")
    with library_dtype("float64"):
        check(stacked(True), "adam", "mse", (x, y, weight), rng, ULPS, validation_split=0.25)
        held_out = (x[:5] + 1, y[:5], weight[:5])
        check(
            *(stacked(True), "sgd", "mse", (x, y, weight), rng, ULPS),
            validation_data=held_out,
            validation_split=0.25,
            validation_batch_size=2,
            validation_freq=2,
        )


def test_evaluate_returns_what_keras_returns(rng):
    x, y, weight = data("mask and weights (N,T)", rng, "float64")
    with library_dtype("float64"):
        theirs, ours = twin_models(stacked(True), rng, (None, T, D))
        for metrics, weighted in ((None, None), (["mae"], None), (["mae"], ["mse"])):
            results = []
            for model in (theirs, ours):
                model.compile("sgd", "mse", metrics=metrics, weighted_metrics=weighted)
                judge = {"sample_weight": weight, "batch_size": BATCH, "verbose": 0}
                results.append(
                    (model.evaluate(x, y, **judge), model.evaluate(x, y, **judge, return_dict=True))
                )
            (expected, expected_dict), (got, got_dict) = results
            assert type(got) is type(expected)
            assert_close(np.array(got), np.array(expected), ulps=ULPS)
            assert got_dict.keys() == expected_dict.keys()
            assert ours.metrics_names == list(got_dict)
            for name, value in got_dict.items():
                assert value == pytest.approx(expected_dict[name], rel=1e-14)


def test_one_batch_at_a_time(rng):
    """Each call reports its own batch alone."""
    x, y, _ = data("mask", rng, "float64")
    with library_dtype("float64"):
        theirs, ours = twin_models(stacked(True), rng, (None, T, D))
        results = []
        for model in (theirs, ours):
            model.compile("sgd", "mse", metrics=["mae"])
            seen = [model.train_on_batch(x[n : n + 3], y[n : n + 3]) for n in (0, 3, 6)]
            seen.append(model.test_on_batch(x, y))
            model.reset_metrics()
            seen.append(list(model.train_on_batch(x, y, return_dict=True).values()))
            seen.append(model.predict_on_batch(x[:2])[0, 0])
            results.append(np.array(seen, dtype="float64"))
        assert_close(results[1], results[0], ulps=ULPS)


def test_a_frozen_layer_stays_and_the_others_learn(rng):
    x, y, _ = data("mask", rng, "float64")
    with library_dtype("float64"):
        theirs, ours = twin_models(stacked(True), rng, (None, T, D))
        before = ours.get_weights()
        for model, lib in ((theirs, keras_library()), (ours, OURS)):
            model.get_layer("lower").trainable = False
            fit(model, lib, "adam", "mse", (x, y, None))
    for name, a, b in zip(ours.named_weights(), ours.weights, theirs.get_weights(), strict=True):
        assert_close(a, b, ulps=ULPS, what=name)
    after = ours.get_weights()
    changed = [np.any(a != b) for a, b in zip(before, after, strict=True)]
    assert changed == [False] * 3 + [True] * 5
    assert len(ours.trainable_weights) == 5
    assert len(ours.non_trainable_weights) == 3


def test_stateful_layers_carry_their_state_through_the_batches_of_a_fit(rng):
    def build(lib: Library) -> Any:
        layers = lib.layers
        return lib.models.Sequential(
            [
                layers.Input(batch_shape=(2, T, D)),
                layers.LSTM(4, return_sequences=True, stateful=True),
                layers.Dense(K),
            ]
        )

    x, y, _ = data("plain", rng, "float64")
    with library_dtype("float64"):
        theirs, ours = check(build, "sgd", "mse", (x, y, None), rng, ULPS, batch_size=2)
        predicted = [model.predict(x, batch_size=2, verbose=0) for model in (theirs, ours)]
        assert_close(predicted[1], predicted[0], ulps=ULPS)
        theirs.layers[0].reset_state()
        ours.reset_states()
        again = [model.predict(x, batch_size=2, verbose=0) for model in (theirs, ours)]
        assert_close(again[1], again[0], ulps=ULPS)
        assert np.abs(again[1] - predicted[1]).max() > 1e-6


def test_the_cases_hold_every_way_with_every_loss():
    assert {(loss, way) for _, loss, way in CASES} == {(a, b) for a in LOSSES for b in WAYS}
    assert {(optimizer, loss) for optimizer, loss, _ in CASES} == set(PAIRS)
