"""One long table as many short sequences, with something to predict at every time step.

An LSTM is trained on a batch of sequences, and a record of measurements is one sequence. Cutting
it into windows gives the batch axis: rows[N,D] becomes x[B,T,D].
"""

from typing import NamedTuple

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError


class ForecastWindows(NamedTuple):
    """Sequences to learn a forecast from.

    ``y[b, t]`` is what was measured ``horizon`` rows after ``x[b, t]``.
    """

    x: Array
    """[B,T,D]"""
    y: Array
    """[B,T,K]"""
    starts: Array
    """[B], the row of the table that ``x[b, 0]`` came from."""


def sliding_windows(rows: Array, window: int, stride: int = 1) -> Array:
    """Every stretch of ``window`` rows, one beginning each ``stride`` rows: [N,D] → [B,T,D].

    Rows after the last whole window are left out. The result is a copy.

    Raises:
        ShapeError: not a table, or fewer rows than one window.
        ValueError: a window or a stride below 1.
    """
    if window < 1 or stride < 1:
        raise ValueError(f"window={window}, stride={stride}: both count rows, so 1 is the least")
    if rows.ndim != 2:
        advice = "; for a single column use series[:, None]" if rows.ndim == 1 else ""
        raise ShapeError(f"rows has shape {rows.shape}, and (rows, columns) is needed{advice}")
    if len(rows) < window:
        raise ShapeError(
            f"{len(rows)} rows do not fill one window of {window}: use a shorter window, or more "
            "rows"
        )
    starts = _starts(len(rows), window, stride)
    return rows[starts[:, None] + np.arange(window)]  # [B,T,D]


def forecast_windows(
    features: Array, targets: Array, window: int, horizon: int = 1, stride: int = 1
) -> ForecastWindows:
    """Windows of the features, each step paired with the targets ``horizon`` rows later.

    Args:
        features: [N,D], what is known at each row.
        targets: [N,K], what is to be predicted, in the same rows.
        window: T.
        horizon: how many rows ahead; 1 is the next row, 0 the same one.
        stride: how many rows lie between the beginnings of two windows.

    Raises:
        ShapeError: tables of different lengths, or too short for one window and the horizon.
        ValueError: a window or a stride below 1, a negative horizon.
    """
    if horizon < 0:
        raise ValueError(f"horizon={horizon}: it counts rows into the future, so 0 is the least")
    if len(features) != len(targets):
        raise ShapeError(
            f"features has {len(features)} rows and targets {len(targets)}: both are columns of "
            "one table, not yet shifted; the horizon does that"
        )
    known = len(features) - horizon  # rows whose target has been measured
    if known < window:
        raise ShapeError(
            f"{len(features)} rows do not fill one window of {window} and the {horizon} after it: "
            "use a shorter window, or more rows"
        )
    return ForecastWindows(
        x=sliding_windows(features[:known], window, stride),
        y=sliding_windows(targets[horizon:], window, stride),
        starts=_starts(known, window, stride),
    )


def covering_starts(rows: int, window: int, warm_up: int) -> Array:
    """Where windows must begin so that they cover all ``rows`` and overlap by ``warm_up``.

    A window begins with an empty state, so its first steps are predicted from little. Where two
    windows overlap, the later steps of the earlier one know more than the first of the later.
    Taking from each window but the first only what follows its ``warm_up`` steps gives every row
    of the table one prediction, made from at least that many rows before it where there are any.
    The last window reaches the last row by beginning earlier, so it may overlap by more.

    Raises:
        ValueError: a warm-up that leaves no new row in a window.
    """
    if not 0 <= warm_up < window:
        raise ValueError(f"warm_up={warm_up}: a window of {window} can spend 0 to {window - 1}")
    last = max(rows - window, 0)
    starts = np.arange(0, last, window - warm_up)
    return np.append(starts, last) if rows else starts


def _starts(rows: int, window: int, stride: int) -> Array:
    return np.arange(0, rows - window + 1, stride)
