"""Columns to mean 0 and standard deviation 1, and predictions back to their units.

Gates saturate: a pressure of 993 mbar would hold every sigmoid at 0 or 1. So a model reads and
predicts standardized values, and the numbers that did it travel with the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError


@dataclass(frozen=True)
class Standardizer:
    """``(values − mean) / std`` for each column, and back. Missing values (NaN) stay missing."""

    mean: Array
    """[D]"""
    std: Array
    """[D], 1 where a column never changed: such a column becomes all 0."""

    @classmethod
    def fit(cls, rows: Array, columns: Sequence[str]) -> Self:
        """The mean and the standard deviation of each column of rows[N,D], missing values aside.

        Give it the rows that train, and no others: the mean of what is held out is not known when
        the model is made. ``columns`` names them, for the message.

        Raises:
            ShapeError: a column without a single value.
        """
        empty = np.isnan(rows).all(axis=0)
        if empty.any():
            raise ShapeError(
                f"column {columns[int(np.argmax(empty))]!r} has no value in the {len(rows)} rows "
                "to train on"
            )
        std = np.nanstd(rows, axis=0)
        return cls(mean=np.nanmean(rows, axis=0), std=np.where(std > 0, std, 1.0))

    def apply(self, values: Array) -> Array:
        """values[..., D], standardized."""
        return (values - self.mean) / self.std

    def invert(self, values: Array) -> Array:
        """Standardized values[..., D], back in their units."""
        return values * self.std + self.mean

    def to_dict(self) -> dict[str, list[float]]:
        """As JSON holds it."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """What `to_dict` gave.

        Raises:
            ValueError: not two lists of finite numbers of one length, or a std that is not
                positive.
        """
        try:
            mean, std = (np.asarray(record[key], dtype=np.float64) for key in ("mean", "std"))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"a scaling is two lists, mean and std; this came: {record}"
            ) from error
        if mean.ndim != 1 or mean.shape != std.shape or not np.isfinite([mean, std]).all():
            raise ValueError(f"mean and std are two lists of one length; this came: {record}")
        if not (std > 0).all():
            raise ValueError(f"a standard deviation is positive, and std came as {record['std']}")
        return cls(mean, std)
