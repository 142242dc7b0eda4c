"""What is better, and whether it has become so."""

import operator
import warnings
from collections.abc import Callable
from typing import Any

from lstm_ref.training.callbacks.callback import Callback, Logs
from lstm_ref.training.losses.measure import Measure
from lstm_ref.training.metrics import R2Score
from lstm_ref.training.metrics.accuracy import Right
from lstm_ref.training.metrics.base import FunctionMeasure

Compare = Callable[[Any, Any], Any]


class MonitorCallback(Callback):
    """Watches one of the numbers in the logs. Keras: ``keras.callbacks.MonitorCallback``.

    Args:
        monitor: its name: "loss", the name of a metric, or either with ``val_`` before it.
        mode: "min" where less is better, "max" where more is; "auto" for less with a loss or an
            error, for more with an accuracy or R². A metric of one's own may say it in an
            attribute ``direction``, "down" or "up"; of a function it is not known.
        baseline: the best value to begin with; None for that of the first epoch.
        min_delta: what is better by less than this is not better.

    Attributes:
        best: the best value so far.
        monitor_op: ``operator.lt`` or ``operator.gt``; None until it is needed, because the
            metrics of a model are known only then.

    Raises:
        ValueError: in ``fit``, the mode is "auto", and the model has no metric of that name which
            says what is better.

    Warns:
        UserWarning: a mode that is none of these; "auto" is taken then.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ) -> None:
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode '{mode}' is unknown, and 'auto' is taken instead: "
                "'auto', 'min' and 'max' are known",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Compare | None = None

    def on_train_begin(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Decide what is better. Keras does after the first epoch, which an error would lose."""
        if self.monitor_op is None:
            self._set_monitor_op()

    def _set_monitor_op(self) -> None:
        """Decide what is better.

        Raises:
            ValueError: the mode is "auto", and nobody says it of this number.
        """
        if self.mode != "auto":
            self.monitor_op = operator.lt if self.mode == "min" else operator.gt
            return
        known = directions(self.model)
        name = self.monitor.removeprefix("val_")
        if name not in known:
            raise ValueError(
                f"{type(self).__name__}(monitor={self.monitor!r}): whether less or more of it is "
                f"better is known of {', '.join(known)} alone. Give mode='min' or mode='max'; or "
                "the name is misspelt, or compile was not given this metric"
            )
        self.monitor_op = known[name]

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        """Whether a value is better than another one, None being worse than all."""
        if reference is None:
            return True
        if self.monitor_op is None:
            self._set_monitor_op()
        assert self.monitor_op is not None
        less = self.monitor_op is operator.lt
        return bool(
            self.monitor_op(value + self.min_delta if less else value - self.min_delta, reference)
        )


def directions(model: Any) -> dict[str, Compare]:
    """What is better, for "loss" and those metrics of a model of which that is known, by name."""
    known = {"loss": operator.lt}
    report = getattr(model, "report", None)
    if report is not None:
        for metric in (*report.metrics, *report.weighted_metrics):
            better = direction(metric)
            if better is not None:
                known[metric.name] = better
    return known


def direction(metric: Any) -> Compare | None:
    """What makes a value of a metric better; None where nobody knows."""
    measure = getattr(metric, "measure", None)
    if isinstance(metric, R2Score) or isinstance(measure, Right):
        return operator.gt
    if isinstance(measure, Measure) and not isinstance(measure, FunctionMeasure):
        return operator.lt  # how wrong a prediction is
    return {"down": operator.lt, "up": operator.gt}.get(getattr(metric, "direction", ""))


def available(logs: dict[str, Any]) -> str:
    """The names in the logs, for a message."""
    return ", ".join(logs) or "none"
