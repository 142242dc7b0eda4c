"""What an epoch that is not over has added up so far."""

from typing import Any

import numpy as np

from lstm_ref.training.metrics import Report


def averages(report: Report) -> list[dict[str, Any]]:
    """The sums of the loss and of each metric: all numbers and arrays that they keep."""
    return [
        {
            name: value
            for name, value in vars(thing).items()
            if isinstance(value, int | float | np.ndarray) and not isinstance(value, bool)
        }
        for thing in _things(report)
    ]


def add_up_from(report: Report, sums: list[dict[str, Any]]) -> None:
    """Go on from what `averages` gave."""
    for thing, values in zip(_things(report), sums, strict=True):
        for name, value in values.items():
            setattr(thing, name, value)


def _things(report: Report) -> list[Any]:
    return [report, *report.metrics, *report.weighted_metrics]
