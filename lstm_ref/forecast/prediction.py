"""A forecast for every row of a table."""

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.forecast.recipe import MISSING_STEP, Recipe
from lstm_ref.model import Sequential
from lstm_ref.sequences import Table, covering_starts, sliding_windows


def forecast(model: Sequential, recipe: Recipe, table: Table) -> Array:
    """For every row, the targets ``recipe.horizon`` rows later, [N,K] in the table's units.

    The model reads windows of the length it was trained on, which overlap by ``recipe.warm_up``
    rows: each row but the first ones is predicted from at least that many before it. A row with a
    missing value repeats the forecast of the row before it in its window (a masked step).

    Raises:
        ValueError: a column is not in the table; values are missing, and the model has no
            ``Masking`` layer.
        ShapeError: the model gives another number of values than there are targets.
    """
    inputs = recipe.inputs(table)  # [N,D]
    N, T = len(inputs), recipe.window
    if not model.makes_masks():
        _refuse_missing(recipe, table)
    # Rows after the last do not reach the forecasts before them, so they may hold anything.
    inputs = np.pad(inputs, ((0, max(T - N, 0)), (0, 0)), constant_values=MISSING_STEP)
    starts = covering_starts(N, T, recipe.warm_up)
    x = sliding_windows(inputs, T)[starts]  # [B,T,D]
    y = model.predict(x, verbose=0)  # [B,T,K]
    K = len(recipe.targets)
    if y.shape != (*x.shape[:2], K):
        raise ShapeError(
            f"the model gives an array of shape {y.shape} for {x.shape}, and one value a step for "
            f"each of {recipe.targets} is needed: {(*x.shape[:2], K)}"
        )
    rows = np.empty((len(inputs), K))
    reached = 0  # rows that have their forecast
    for start, window in zip(starts, y, strict=True):
        rows[reached : start + T] = window[reached - start :]
        reached = start + T
    return recipe.target_scaling.invert(rows[:N])


def _refuse_missing(recipe: Recipe, table: Table) -> None:
    missing = np.isnan(table.select(recipe.features))
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise ValueError(
            f"row {row + 1} has no {recipe.features[column]}, and this model was trained without "
            "the Masking layer that would skip it"
        )
