"""Pictures of what a model does. They need matplotlib: ``pip install "lstm-ref[plot]"``.

Each function gives a ``matplotlib.figure.Figure``, which belongs to no window and is freed with its
last reference; ``figure.savefig(path)`` writes it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import MissingExtraError, ShapeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED, PREDICTED = "#5a6472", "#d1495b"


def forecast_figure(
    measured: Array,
    predicted: Array,
    names: Sequence[str],
    *,
    title: str = "",
    predicted_label: str = "predicted",
    ticks: Mapping[int, str] | None = None,
) -> "Figure":
    """What was measured, and what was predicted for each of these time steps: a panel a column.

    Args:
        measured, predicted: [N,K]; NaN leaves a gap.
        names: of the K columns, with their units.
        title: above all panels.
        predicted_label: what the legend calls the predictions.
        ticks: time steps and what to write below them; their numbers when None.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ShapeError: arrays that do not fit each other.
    """
    K = len(names)
    if measured.ndim != 2 or measured.shape != predicted.shape or measured.shape[1] != K:
        raise ShapeError(
            f"measured has shape {measured.shape} and predicted {predicted.shape}, and both are "
            f"(steps, {K}) for {K} names: for a single column use values[:, None]"
        )
    figure = _figure(12, 1.2 + 2.6 * K)
    panels = figure.subplots(K, 1, sharex=True, squeeze=False)[:, 0]
    for k, (panel, name) in enumerate(zip(panels, names, strict=True)):
        panel.plot(measured[:, k], color=MEASURED, linewidth=1.2, label="measured")
        dots = {"linestyle": "", "marker": ".", "markersize": 3.5}
        panel.plot(predicted[:, k], color=PREDICTED, label=predicted_label, **dots)
        panel.set_ylabel(name)
        _plain(panel)
    if ticks is not None:
        panels[-1].set_xticks(list(ticks), list(ticks.values()))
    panels[-1].set_xlim(0, max(len(measured) - 1, 1))
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    if title:
        panels[0].set_title(title, loc="left")
    return figure


def history_figure(history: Mapping[str, Sequence[float]]) -> "Figure":
    """The losses and metrics of ``model.fit(...).history`` over the epochs.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _figure(7, 4)
    panel = figure.subplots()
    for name, values in history.items():
        panel.plot(np.arange(1, len(values) + 1), values, label=name, marker=".", markersize=4)
    positive = [v for values in history.values() for v in values if v > 0]
    if positive and max(positive) > 20 * min(positive):
        panel.set_yscale("log")
    panel.set_xlabel("epoch")
    panel.legend(frameon=False)
    _plain(panel)
    return figure


def _figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def _plain(panel: Any) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", linewidth=0.5, alpha=0.4)
