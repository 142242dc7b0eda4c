"""The same compile and fit in Keras and here: every optimizer and its options, losses, masks,
weights, layers. Losses, metrics and final weights agree after several epochs.

Adam and its kin divide a gradient by its own size, so that the last digits of a small one weigh as
much as those of a large one: what is asked of a whole fit is 1e-12 of the largest in float64, and
2e-5 in float32, as of the largest of each array.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.keras_peer import OURS, Library, keras_library, library_dtype, twin_models

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}

Make = Callable[[Library], Any]


def optimizer(name: str, **arguments: Any) -> Make:
    return lambda lib: getattr(lib.optimizers, name)(**arguments)


def scheduled(name: str, *arguments: Any, **named: Any) -> Make:
    return lambda lib: lib.optimizers.SGD(
        getattr(lib.optimizers.schedules, name)(*arguments, **named)
    )


OPTIMIZERS: dict[str, Make] = {
    "sgd": optimizer("SGD", learning_rate=0.1),
    "momentum": optimizer("SGD", learning_rate=0.1, momentum=0.9),
    "nesterov": optimizer("SGD", learning_rate=0.1, momentum=0.9, nesterov=True),
    "adam": optimizer("Adam", learning_rate=0.01),
    "amsgrad": optimizer("Adam", learning_rate=0.01, beta_2=0.9, amsgrad=True),
    "adamw": optimizer("AdamW", learning_rate=0.01, weight_decay=0.1),
    "nadam": optimizer("Nadam", learning_rate=0.01),
    "adagrad": optimizer("Adagrad", learning_rate=0.1),
    "rmsprop": optimizer("RMSprop", learning_rate=0.01),
    "rmsprop momentum": optimizer("RMSprop", learning_rate=0.01, momentum=0.7),
    "rmsprop centered": optimizer("RMSprop", learning_rate=0.01, centered=True),
    "clipnorm": optimizer("SGD", learning_rate=0.5, clipnorm=0.05),
    "clipvalue": optimizer("Adam", learning_rate=0.01, clipvalue=0.003),
    "global_clipnorm": optimizer("RMSprop", learning_rate=0.01, global_clipnorm=0.05),
    "weight_decay": optimizer("SGD", learning_rate=0.1, momentum=0.5, weight_decay=0.05),
    "accumulation": optimizer("Adam", learning_rate=0.01, gradient_accumulation_steps=2),
    "ema": optimizer("Adam", learning_rate=0.01, use_ema=True, ema_momentum=0.8),
    "ema often": optimizer(
        "SGD", learning_rate=0.1, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3
    ),
    "exponential": scheduled("ExponentialDecay", 0.2, 4, 0.7),
    "staircase": scheduled("ExponentialDecay", 0.2, 4, 0.7, staircase=True),
    "piecewise": scheduled("PiecewiseConstantDecay", [2, 5], [0.3, 0.1, 0.01]),
    "cosine": scheduled("CosineDecay", 0.01, 6, 0.1, warmup_target=0.3, warmup_steps=3),
    "restarts": scheduled("CosineDecayRestarts", 0.2, 3, 1.5, 0.8, 0.1),
    "polynomial": scheduled("PolynomialDecay", 0.3, 4, 0.01, power=2.0, cycle=True),
    "inverse time": scheduled("InverseTimeDecay", 0.3, 2, 0.5),
}


def layers(lib: Library, *between: Any, last: Any) -> Any:
    return lib.models.Sequential([lib.layers.Input((6, 3)), *between, last])


def masked(lib: Library, K: int = 2, activation: str | None = None) -> Any:
    L = lib.layers
    return layers(
        lib, L.Masking(0.0), L.LSTM(4, return_sequences=True), last=L.Dense(K, activation)
    )


def two_layers(lib: Library) -> Any:
    L = lib.layers
    lstms = (L.LSTM(n, return_sequences=True) for n in (4, 3))
    return layers(lib, L.Masking(0.0), *lstms, last=L.TimeDistributed(L.Dense(2)))


def both_directions(lib: Library) -> Any:
    L = lib.layers
    both = L.Bidirectional(L.LSTM(3, return_sequences=True))
    return layers(lib, L.Masking(0.0), both, last=L.Dense(2))


def regularized(lib: Library) -> Any:
    L = lib.layers
    lstm = L.LSTM(
        *(4, "relu"), return_sequences=True, kernel_regularizer="l2", activity_regularizer="l1",
        recurrent_constraint="max_norm",
    )  # fmt: skip
    return layers(lib, L.Masking(0.0), lstm, last=L.Dense(2, kernel_constraint="unit_norm"))


def one_a_row(lib: Library, K: int = 2, activation: str | None = None) -> Any:
    L = lib.layers
    return layers(lib, L.Masking(0.0), L.LSTM(4), last=L.Dense(K, activation))


def padded(rng: np.random.Generator, dtype: str, rows: int = 9) -> np.ndarray:
    """x[N,6,3], from 1 to 6 steps of each row real, padded behind."""
    x = rng.normal(size=(rows, 6, 3)).astype(dtype)
    lengths = rng.integers(1, 7, rows)
    x[np.arange(6) >= lengths[:, None]] = 0
    return x


def fit_both(
    build: Make,
    compiled: Callable[[Library], dict[str, Any]],
    data: tuple[Any, ...],
    dtype: str,
    rng: np.random.Generator,
    **fit: Any,
) -> None:
    """Fit three epochs with both, and compare every number there is."""
    x, y, *weight = data
    tolerance = TOLERANCE[dtype]
    theirs, ours = twin_models(build, rng, x.shape)
    histories = []
    for model, lib in ((theirs, keras_library()), (ours, OURS)):
        model.compile(**compiled(lib), **({"run_eagerly": True} if lib.is_keras else {}))
        arguments = {"batch_size": 4, "epochs": 3, "shuffle": False, "verbose": 0, **fit}
        if weight:
            arguments["sample_weight"] = weight[0]
        histories.append(model.fit(x, y, **arguments).history)
    assert sorted(histories[0]) == sorted(histories[1])
    for name, expected in histories[0].items():
        np.testing.assert_allclose(histories[1][name], expected, rtol=tolerance, err_msg=name)
    for name, a, b in zip(ours.named_weights(), ours.weights, theirs.get_weights(), strict=True):
        scale = max(1.0, float(np.max(np.abs(b))))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=name)
    extra = {"sample_weight": weight[0]} if weight else {}
    judged = (m.evaluate(x, y, batch_size=4, verbose=0, **extra) for m in (ours, theirs))
    np.testing.assert_allclose(*judged, rtol=tolerance)
    predicted = (m.predict(x, batch_size=4, verbose=0) for m in (ours, theirs))
    np.testing.assert_allclose(*predicted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_and_option(name, dtype, rng):
    with library_dtype(dtype):
        data = padded(rng, dtype), rng.normal(size=(9, 6, 2)).astype(dtype)
        compiled = lambda lib: {  # noqa: E731
            "optimizer": OPTIMIZERS[name](lib),
            "loss": "mse",
            "metrics": ["mae"],
        }
        fit_both(masked, compiled, data, dtype, rng)


MODELS = {
    "masked": masked,
    "two layers": two_layers,
    "bidirectional": both_directions,
    "regularized": regularized,
    "one a row": one_a_row,
}


@pytest.mark.parametrize("weights", ["none", "a row", "a step"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("of", ["adam", "rmsprop"])
def test_models_masks_and_sample_weights(name, of, weights, rng):
    with library_dtype("float64"):
        x = padded(rng, "float64")
        shape = (9, 2) if name == "one a row" else (9, 6, 2)
        data = [x, rng.normal(size=shape)]
        if weights != "none":
            steps = shape[:-1] if weights == "a step" else (9,) if len(shape) == 2 else (9, 1)
            data.append(rng.uniform(0, 2, size=steps))
        compiled = lambda lib: {  # noqa: E731
            "optimizer": OPTIMIZERS[of](lib),
            "loss": "mse",
            "metrics": ["mae"],
            "weighted_metrics": ["mse"],
        }
        fit_both(MODELS[name], compiled, data, "float64", rng, validation_split=0.3)


REGRESSIONS = ["mse", "mae", "mape", "huber", "log_cosh"]
"""By the names that both know."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", REGRESSIONS)
def test_losses_of_regression(loss, dtype, rng):
    with library_dtype(dtype):
        y = (rng.normal(size=(9, 6, 2)) * 2).astype(dtype)
        data = padded(rng, dtype), y, rng.uniform(0, 2, size=(9, 6)).astype(dtype)
        metrics = [m for m in ("mse", "mae", "mape") if m != loss]
        compiled = lambda lib: {  # noqa: E731
            "optimizer": lib.optimizers.SGD(0.01),
            "loss": loss,
            "metrics": metrics,
            "weighted_metrics": [lib.metrics.LogCoshError()],
        }
        fit_both(masked, compiled, data, dtype, rng)


LABELS = {
    "binary": ("binary_crossentropy", "sigmoid", 1),
    "binary, several": ("binary_crossentropy", "sigmoid", 3),
    "categorical": ("categorical_crossentropy", "softmax", 4),
    "sparse": ("sparse_categorical_crossentropy", "softmax", 4),
}


def labels(kind: str, K: int, steps: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if kind.startswith("binary"):
        return rng.integers(0, 2, (*steps, K)).astype(float)
    classes = rng.integers(0, K, steps)
    return classes if kind == "sparse" else np.eye(K)[classes]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_steps_and_of_rows(kind, many, logits, dtype, rng):
    loss, activation, K = LABELS[kind]
    names = {
        "binary_crossentropy": "BinaryCrossentropy",
        "categorical_crossentropy": "CategoricalCrossentropy",
        "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    }
    with library_dtype(dtype):
        y = labels(kind, K, (9, 6) if many else (9,), rng)
        weights = [rng.uniform(0, 2, size=(9, 6)).astype(dtype)] if many else []
        build = masked if many else one_a_row
        fit_both(
            lambda lib: build(lib, K, None if logits else activation),
            lambda lib: {
                "optimizer": OPTIMIZERS["adam"](lib),
                "loss": getattr(lib.losses, names[loss])(from_logits=True) if logits else loss,
                "metrics": ["accuracy"],
            },
            [padded(rng, dtype), y, *weights],
            dtype,
            rng,
        )


@pytest.mark.parametrize("split", [0.0, 0.4])
def test_class_weights_of_rows(split, rng):
    with library_dtype("float64"):
        y = rng.integers(0, 4, 9)
        fit_both(
            lambda lib: one_a_row(lib, 4, "softmax"),
            lambda lib: {
                "optimizer": "adam",
                "loss": "sparse_categorical_crossentropy",
                "metrics": ["accuracy"],
            },
            [padded(rng, "float64"), y],
            "float64",
            rng,
            class_weight={0: 1.0, 1: 2.5, 3: 0.5},
            validation_split=split,
        )
