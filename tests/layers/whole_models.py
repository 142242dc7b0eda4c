"""Whole models, Keras' and ours: trained on the same rows, judged, saved and compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lstm_ref as lr
from tests.keras_peer import OURS, Library, assert_close, keras_library, twin_models
from tests.layers.twin_layers import assert_same_config

ULPS = 60
"""Of a whole fit in float64. Adam and RMSprop divide a gradient by its own size, so that the last
digits of a small one weigh as much as those of a large one; measured: at most 21."""

OPTIMIZERS: dict[str, Callable[[Library], Any]] = {
    "sgd": lambda lib: lib.optimizers.SGD(0.1),
    "adam": lambda lib: lib.optimizers.Adam(0.01),
    "rmsprop": lambda lib: lib.optimizers.RMSprop(0.01),
}


def train_alike(
    build: Callable[[Library], Any],
    optimizer: str,
    x: np.ndarray,
    y: np.ndarray,
    rng: np.random.Generator,
    *,
    prepare: Callable[[Any], None] = lambda model: None,
    ulps: float = ULPS,
    eager: bool = True,
    epochs: int = 2,
    batch_size: int = 4,
) -> tuple[Any, Any]:
    """Fit, evaluate and predict with both; every number is compared. (Keras' model, ours).

    Args:
        build: makes the model of a library, beginning with its Input.
        prepare: is done to both models before they are compiled.
        eager: let Keras run without compiling the model, which is quicker here.
    """
    theirs, ours = twin_models(build, rng, x.shape)
    rows = len(x) - batch_size  # the rest is held out
    histories = []
    for model, lib in ((theirs, keras_library()), (ours, OURS)):
        prepare(model)
        options = {"run_eagerly": True} if lib.is_keras and eager else {}
        model.compile(OPTIMIZERS[optimizer](lib), "mse", metrics=["mae"], **options)
        fit = {"batch_size": batch_size, "epochs": epochs, "shuffle": False, "verbose": 0}
        history = model.fit(x[:rows], y[:rows], validation_data=(x[rows:], y[rows:]), **fit)
        histories.append(history.history)
    expected, got = histories
    assert sorted(got) == sorted(expected)
    for name, values in got.items():
        numbers = (np.array(v, y.dtype) for v in (values, expected[name]))
        assert_close(*numbers, ulps=ulps, what=name)
    for name, a, b in zip(ours.named_weights(), ours.weights, theirs.get_weights(), strict=True):
        assert_close(a, b, ulps=ulps, what=name)
    judged, wanted = (
        model.evaluate(x, y, batch_size=batch_size, verbose=0) for model in (ours, theirs)
    )
    assert_close(*(np.array(v, y.dtype) for v in (judged, wanted)), ulps=ulps, what="evaluate")
    predictions = (model.predict(x, batch_size=batch_size, verbose=0) for model in (ours, theirs))
    assert_close(*predictions, ulps=ulps, what="predict")
    return theirs, ours


def assert_saved_and_loaded(model: Any, x: np.ndarray, folder: Path, batch_size: int = 4) -> None:
    """The model that comes back from a file describes itself, and predicts, as the one saved."""
    model.save(folder / "model.npz")
    again = lr.load_model(folder / "model.npz")
    assert again.get_config() == model.get_config()
    for (name, a), b in zip(again.named_weights().items(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert again.trainable_params().keys() == model.trainable_params().keys()
    for made in (model, again):
        made.reset_states()
    np.testing.assert_array_equal(
        *(made.predict(x, batch_size=batch_size, verbose=0) for made in (again, model))
    )


def assert_layer_configs(theirs: Any, ours: Any) -> None:
    """Layer by layer, every value of Keras' config; names were given, or are counted apart."""
    for a, b in zip(ours.layers, theirs.layers, strict=True):
        assert_same_config(a.get_config(), b.get_config(), type(a).__name__)
