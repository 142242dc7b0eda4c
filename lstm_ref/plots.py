"""Pictures of what a model does. They need matplotlib: ``pip install "lstm-ref[plot]"``.

Each function gives a ``matplotlib.figure.Figure``, which belongs to no window and is freed with its
last reference; ``figure.savefig(path)`` writes it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import MissingExtraError, ShapeError
from lstm_ref.model import Sequential
from lstm_ref.verify.gradient_flow import gradient_flow as flow_through

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED, PREDICTED = "#5a6472", "#d1495b"
OF_H, OF_C = "#d1495b", "#2e6f95"


def forecast(
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


def history(history: Any) -> "Figure":
    """The losses and metrics of a training over its epochs, a panel for each, with its ``val_``.

    Values that were only taken after every so many epochs (``validation_freq``) are drawn there.
    A scale is logarithmic where its values spread over more than a factor of 20.

    Args:
        history: what ``model.fit`` returned, or its ``history``, a dict of lists.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: nothing is in it.
    """
    values: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    epochs = max((len(series) for series in values.values()), default=0)
    if not epochs:
        raise ValueError("the history holds no epoch: a training puts one in after each")
    of_epochs = getattr(history, "epoch", ())
    numbers = np.array(of_epochs if len(of_epochs) == epochs else range(epochs)) + 1
    quantities = list(dict.fromkeys(name.removeprefix("val_") for name in values))
    figure = _figure(7, 1 + 2.6 * len(quantities))
    panels = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)[:, 0]
    for quantity, panel in zip(quantities, panels, strict=True):
        shown = {name: values[name] for name in (quantity, f"val_{quantity}") if name in values}
        for name, series in shown.items():
            every = epochs // max(len(series), 1)
            at = numbers[every - 1 :: every][: len(series)]
            panel.plot(at, series, label=name, marker=".", markersize=4)
        positive = [v for series in shown.values() for v in series if 0 < v < np.inf]
        if positive and max(positive) > 20 * min(positive):
            panel.set_yscale("log")
        panel.legend(frameon=False)
        _plain(panel)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    return figure


def gradient_flow(model: Sequential, x: Any, y: Any, sample_weight: Any = None) -> "Figure":
    """How the gradient of a model's loss on (x, y) flows back through each of its LSTMs.

    A row of two panels for each LSTM, over the time steps of its input: on the left the lengths of
    the gradients on h_t and c_t, on the right the product of the forget gates of all steps after t,
    both on logarithmic scales. The arguments and the numbers are those of
    `lstm_ref.verify.gradient_flow`.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: the model has no LSTM, or is not compiled.
        ShapeError: x, y or sample_weight do not fit the model.
    """
    flows = flow_through(model, x, y, sample_weight)
    if not flows:
        raise ValueError(f"the model {model.name!r} has no LSTM for a gradient to flow through")
    figure = _figure(11, 0.8 + 2.6 * len(flows))
    rows = figure.subplots(len(flows), 2, sharex="row", squeeze=False)
    for (left, right), (name, flow) in zip(rows, flows.items(), strict=True):
        steps = np.arange(len(flow.d_h))
        dots = {"marker": ".", "markersize": 4}
        left.plot(steps, _visible(flow.d_h), color=OF_H, label=r"$|\partial h_t|$", **dots)
        left.plot(steps, _visible(flow.d_c), color=OF_C, label=r"$|\partial c_t|$", **dots)
        right.plot(
            steps,
            _visible(flow.forget_product),
            color=OF_C,
            label=r"$\prod f$ after step $t$",
            **dots,
        )
        direction = "  (read backwards)" if flow.backwards else ""
        left.set_title(name + direction, loc="left")
        for panel in (left, right):
            panel.set_yscale("log")
            panel.set_xlabel("time step $t$")
            panel.legend(frameon=False)
            _plain(panel)
    return figure


def _visible(values: Array) -> Array:
    """What a logarithmic scale can show: 0 becomes a gap."""
    return np.where(values > 0, values, np.nan)


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
