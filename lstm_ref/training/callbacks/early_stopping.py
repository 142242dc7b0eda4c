"""Ends a training that no longer improves."""

import warnings
from typing import Any

from lstm_ref.conventions import Array
from lstm_ref.training.callbacks.callback import Logs
from lstm_ref.training.callbacks.monitor import MonitorCallback, available
from lstm_ref.training.progress import say


class EarlyStopping(MonitorCallback):
    """Stop when a number has not become better for some epochs. Keras: ``EarlyStopping``.

    Args:
        monitor, mode, min_delta: see `MonitorCallback`.
        patience: after so many epochs without a better value. 0 and 1 both stop after the first,
            and the very first epoch of a training never stops it.
        verbose: 1 writes a line when it stops, and one when it restores weights.
        baseline: a value that must be beaten, too; until then epochs count as not better.
        restore_best_weights: at the end of the training, also where it was not this that stopped
            it, the model gets back the weights of its best epoch, beaten baseline or not.
        start_from_epoch: the epochs before this one are not watched.

    Attributes:
        wait: epochs since the last better one.
        stopped_epoch: the number of the epoch after which it stopped the training; 0 before.
        best_epoch, best_weights: of the best value, `best`.

    Warns:
        UserWarning: the logs have no such number; the training goes on.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begin anew."""
        super().on_train_begin(logs)
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compare, and stop."""
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Say so, and restore the best weights."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                say(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}."
                )
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs: Logs) -> Any:
        """The number in the logs, or None."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {available(logs or {})}",
                stacklevel=2,
            )
        return value

    def get_state(self) -> dict[str, Any]:
        """See `Callback.get_state`."""
        return {
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """See `Callback.set_state`."""
        self.wait = state["wait"]
        self.stopped_epoch = state["stopped_epoch"]
        self.best = state["best"]
        self.best_epoch = state["best_epoch"]
        self.best_weights = state["best_weights"]
