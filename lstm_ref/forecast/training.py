"""A table to windows, a model that reads them, and its epochs."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import NonFiniteError, ShapeError
from lstm_ref.forecast.recipe import MISSING_STEP, Recipe
from lstm_ref.layers import LSTM, Dense, Input, Layer, Masking
from lstm_ref.layers.session import set_seed
from lstm_ref.model import Sequential
from lstm_ref.sequences import Table, forecast_windows
from lstm_ref.training import optimizers


class TrainingData(NamedTuple):
    """What ``fit`` takes."""

    x: Array
    """[B,T,D] float32"""
    y: Array
    """[B,T,K] float32"""
    weight: Array | None
    """[B,T], 0 at steps whose target is missing; None where none is."""


def training_data(
    recipe: Recipe, table: Table, rows: int, stride: int | None = None
) -> TrainingData:
    """Windows from the first ``rows`` of a table, with a target at every step.

    A step's target is what was measured ``recipe.horizon`` rows later. Where one of the targets is
    missing, the step has weight 0; where a feature is, it is masked.

    Args:
        stride: rows from one window to the next; half a window when None, so that every row stands
            once in the first half of a window and once in the second.

    Raises:
        ShapeError: too few rows for one window.
    """
    if rows < recipe.window + recipe.horizon:
        raise ShapeError(
            f"{rows} rows to train on do not fill one window of {recipe.window} and the "
            f"{recipe.horizon} after it: use a shorter window, or more rows"
        )
    x, y, _ = forecast_windows(
        recipe.inputs(table)[:rows].astype(np.float32),
        recipe.outputs(table)[:rows].astype(np.float32),
        recipe.window,
        recipe.horizon,
        stride or max(recipe.window // 2, 1),
    )
    known = np.asarray(~np.isnan(y).any(axis=-1))  # [B,T]
    weight = None if known.all() else known.astype(np.float32)
    return TrainingData(x, np.where(known[..., None], y, np.float32(0)), weight)


def build_model(
    recipe: Recipe,
    *,
    units: int,
    activation: str = "tanh",
    optimizer: str = "adam",
    learning_rate: float | None = None,
    masking: bool = True,
    seed: int | None = None,
) -> Sequential:
    """LSTM → Dense, compiled with the mean squared error; the recipe is in its metadata.

    Args:
        units: H.
        activation: of the LSTM's candidate and output.
        optimizer: "sgd", "adam" or "rmsprop".
        learning_rate: the optimizer's own when None.
        masking: begin with the ``Masking`` layer that rows with missing values need.
        seed: for the initial weights and the order of the windows; None for new ones each time.

    Raises:
        ValueError: an unknown activation or optimizer, units below 1.
    """
    if seed is not None:
        set_seed(seed)
    layers: list[Layer] = [Input((recipe.window, len(recipe.features)), name="input")]
    if masking:
        layers.append(Masking(mask_value=MISSING_STEP, name="masking"))
    layers.append(LSTM(units, activation=activation, return_sequences=True, name="lstm"))
    layers.append(Dense(len(recipe.targets), name="dense"))
    model = Sequential(layers, name="forecast")  # named, so that the same settings give one file
    chosen: Any = optimizers.get(optimizer)
    chosen.name = optimizer
    if learning_rate is not None:
        chosen.learning_rate = learning_rate
    model.compile(optimizer=chosen, loss="mse")
    model.metadata.update(recipe.to_metadata())
    return model


def train(
    model: Sequential, data: TrainingData, *, epochs: int, batch_size: int = 32
) -> Iterator[float]:
    """Train epoch by epoch; gives the loss of each as it ends, for whoever shows progress.

    Raises:
        ValueError: the loss is no longer a number. A relu LSTM has no bound on its state, and
            diverges where windows are long or steps large.
    """
    for epoch in range(epochs):
        try:
            history = model.fit(
                data.x,
                data.y,
                sample_weight=data.weight,
                batch_size=batch_size,
                initial_epoch=epoch,
                epochs=epoch + 1,
                verbose=0,
            )
        except NonFiniteError as error:
            raise ValueError(f"{_diverged(epoch)}. Where it began: {error}") from error
        loss = history.history["loss"][-1]
        if not np.isfinite(loss):
            raise ValueError(f"{_diverged(epoch)}. The loss is {loss}")
        yield loss


def _diverged(epoch: int) -> str:
    return (
        f"training diverged in epoch {epoch + 1}: use a smaller learning rate, a shorter window, "
        "or activation tanh instead of relu"
    )
