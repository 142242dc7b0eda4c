"""How good a forecast is, beside two that need no model.

An error alone says little: weather hardly changes within an hour, so repeating the last value is
already close. A model is worth having when it beats what costs nothing.

persistence   what was measured last
seasonal      what was measured at the same point of the last period: the same hour yesterday
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.forecast.recipe import Recipe
from lstm_ref.sequences import Table


@dataclass(frozen=True)
class Score:
    """The root mean square errors of one target's forecasts, in its own unit."""

    target: str
    rows: int
    """How many rows were compared: those where the value and all forecasts are there."""
    model: float
    baselines: Mapping[str, float]

    @property
    def beats_baselines(self) -> bool:
        """Whether the model's error is smaller than each baseline's."""
        return all(self.model < error for error in self.baselines.values())

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; None for an error that could not be measured."""
        rmse = {"model": self.model, **self.baselines}
        return {
            "target": self.target,
            "rows": self.rows,
            "rmse": {name: None if math.isnan(e) else e for name, e in rmse.items()},
            "beats_baselines": self.beats_baselines,
        }


def forecasts_by_row(
    recipe: Recipe, table: Table, forecasts: Array, period: int | None = None
) -> dict[str, Array]:
    """The forecasts *of* each row, [N,K] each by name: the model's and the baselines'.

    NaN where a row was not predicted: the first ones.

    Args:
        forecasts: as `lstm_ref.forecast.forecast` gives them, made *at* each row.
        period: rows of a season, 24 for hours of a day; None for no seasonal baseline.
    """
    measured = table.select(recipe.targets)
    of_row = {
        "model": _shifted(forecasts, recipe.horizon),
        "persistence": _shifted(measured, recipe.horizon),
    }
    if period is not None:
        # The last time that point of the season was seen when the forecast was made.
        seasons = math.ceil(recipe.horizon / period)
        of_row["seasonal"] = _shifted(measured, seasons * period)
    return of_row


def score(
    recipe: Recipe, table: Table, forecasts: Array, first: int, period: int | None = None
) -> list[Score]:
    """The errors of the forecasts of the rows from ``first`` on, one `Score` for each target.

    All are measured on the same rows: those where the value and every forecast is there.
    """
    measured = table.select(recipe.targets)
    of_row = forecasts_by_row(recipe, table, forecasts, period)
    errors = {name: (rows - measured)[first:] for name, rows in of_row.items()}
    scores = []
    for k, target in enumerate(recipe.targets):
        known = np.all([~np.isnan(e[:, k]) for e in errors.values()], axis=0)
        rmse = {name: _rmse(e[known, k]) for name, e in errors.items()}
        scores.append(Score(target, int(known.sum()), rmse.pop("model"), rmse))
    return scores


def _shifted(rows: Array, by: int) -> Array:
    """Each row ``by`` rows later; NaN before."""
    moved = np.full(rows.shape, np.nan)
    moved[by:] = rows[: max(len(rows) - by, 0)]
    return moved


def _rmse(errors: Array) -> float:
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else math.nan
