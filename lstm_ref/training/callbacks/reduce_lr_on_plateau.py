"""Takes smaller steps when the training no longer improves."""

import warnings
from typing import Any

import numpy as np

from lstm_ref.training.callbacks.callback import Logs
from lstm_ref.training.callbacks.monitor import MonitorCallback, available
from lstm_ref.training.progress import say


class ReduceLROnPlateau(MonitorCallback):
    """Multiply the learning rate when a number stops improving. Keras: ``ReduceLROnPlateau``.

    The learning rate of each epoch stands in its logs as "learning_rate".

    Args:
        monitor, mode, min_delta: see `MonitorCallback`.
        factor: of the learning rate, below 1.
        patience: after so many epochs without a better value.
        verbose: 1 writes a line each time.
        cooldown: so many epochs are not watched after that.
        min_lr: the learning rate never falls below it.

    Attributes:
        wait: epochs since the last better one.
        cooldown_counter: epochs still not watched.

    Raises:
        ValueError: a factor of 1 or more.

    Warns:
        UserWarning: the logs have no such number.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(
                f"ReduceLROnPlateau(factor={factor!r}): a number below 1 is needed, such as 0.1; "
                "the new learning rate is the old one times the factor"
            )
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begin anew."""
        super().on_train_begin(logs)
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compare, and take smaller steps."""
        logs = logs or {}
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not "
                f"available. Available metrics are: {available(logs)}.",
                stacklevel=2,
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        """Take smaller steps, and say whether that was possible."""
        optimizer = self.model.optimizer
        old = float(optimizer.learning_rate)
        # Compared in float32, as Keras does: a float32 learning rate at min_lr is not above it.
        if not np.float32(old) > np.float32(self.min_lr):
            return False
        new = max(old * self.factor, self.min_lr)
        optimizer.learning_rate = new
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        return True

    def in_cooldown(self) -> bool:
        """Whether epochs are not watched."""
        return self.cooldown_counter > 0

    def get_state(self) -> dict[str, Any]:
        """See `Callback.get_state`."""
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: dict[str, Any]) -> None:
        """See `Callback.set_state`."""
        self.best = state["best"]
        self.wait = state["wait"]
        self.cooldown_counter = state["cooldown_counter"]
