"""How rows of a table become what a model reads, and what it gives a forecast: with the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ModelFormatError
from lstm_ref.sequences import Standardizer, Table

KEY = "forecast"
"""Where a recipe stands in a model's metadata."""

MISSING_STEP = -1e4
"""Every feature of a row with a missing value: so many standard deviations away, no real row has
it. A ``Masking`` layer looks for it."""

MOST_ROWS = 1_000_000
"""The longest window and horizon: what a file may ask for, so that it cannot ask for all memory."""


@dataclass(frozen=True)
class Recipe:
    """Which columns, how they are scaled, and how far ahead the model looks."""

    features: tuple[str, ...]
    """The columns that the model reads."""
    targets: tuple[str, ...]
    """The columns that it predicts."""
    window: int
    """T, the rows of one sequence."""
    horizon: int
    """How many rows ahead it predicts."""
    feature_scaling: Standardizer
    target_scaling: Standardizer

    @classmethod
    def fit(
        cls,
        table: Table,
        features: Sequence[str],
        targets: Sequence[str],
        window: int,
        horizon: int,
        rows: int,
    ) -> Self:
        """The recipe whose scalings come from the first ``rows`` of the table, which train.

        Raises:
            ValueError: a column that is not in the table or named twice, a window or a horizon
                that is not possible.
            ShapeError: a column without a value in these rows.
        """
        for columns in (features, targets):
            twice = [name for name in columns if list(columns).count(name) > 1]
            if twice:
                raise ValueError(f"the column {twice[0]!r} is named twice")
        recipe = cls(
            features=tuple(features),
            targets=tuple(targets),
            window=window,
            horizon=horizon,
            feature_scaling=Standardizer.fit(table.select(features)[:rows], features),
            target_scaling=Standardizer.fit(table.select(targets)[:rows], targets),
        )
        recipe.check()
        return recipe

    @property
    def columns(self) -> tuple[str, ...]:
        """The features, and the targets that are not among them."""
        return tuple(dict.fromkeys((*self.features, *self.targets)))

    @property
    def warm_up(self) -> int:
        """The first steps of a window, whose forecasts are made from too little: half of them."""
        return self.window // 2

    def inputs(self, table: Table) -> Array:
        """What the model reads for each row, [N,D]; `MISSING_STEP` where a feature is missing."""
        rows = self.feature_scaling.apply(table.select(self.features))
        rows[np.isnan(rows).any(axis=1)] = MISSING_STEP
        return rows

    def outputs(self, table: Table) -> Array:
        """What the model is to give for each row that is to be predicted, [N,K]; NaN is missing."""
        return self.target_scaling.apply(table.select(self.targets))

    def to_metadata(self) -> dict[str, Any]:
        """For ``model.metadata``."""
        return {
            KEY: {
                "features": list(self.features),
                "targets": list(self.targets),
                "window": self.window,
                "horizon": self.horizon,
                "feature_scaling": self.feature_scaling.to_dict(),
                "target_scaling": self.target_scaling.to_dict(),
            }
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """The recipe that a model brought along.

        Raises:
            ModelFormatError: there is none, or it does not make sense.
        """
        if KEY not in metadata:
            raise ModelFormatError(
                "the model does not say which columns it reads and how they are scaled, as one "
                "made by `lstm-ref train` does: prepare the data as for its training, and call "
                "model.predict"
            )
        try:
            record = dict(metadata[KEY])
            for key in ("feature_scaling", "target_scaling"):
                record[key] = Standardizer.from_dict(record[key])
            for key in ("features", "targets"):
                record[key] = _names(record[key])
            recipe = cls(**record)
            recipe.check()
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFormatError(f"the forecast recipe in it makes no sense: {error}") from error
        return recipe

    def check(self) -> None:
        """Raise ValueError unless the parts fit each other."""
        for name, count in (("window", self.window), ("horizon", self.horizon)):
            if type(count) is not int or not 1 <= count <= MOST_ROWS:
                raise ValueError(f"{name} is {count!r}, and 1 to {MOST_ROWS:,} rows are possible")
        for columns, scaling in (
            (self.features, self.feature_scaling),
            (self.targets, self.target_scaling),
        ):
            if len(columns) != len(scaling.mean):
                raise ValueError(f"{len(scaling.mean)} scalings for the columns {columns}")


def _names(columns: Any) -> tuple[str, ...]:
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise ValueError(f"{columns!r} is no list of column names")
    if not columns:
        raise ValueError("it names no column")
    return tuple(columns)
