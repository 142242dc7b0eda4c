"""What ``fit`` returns."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """The loss and metrics of each epoch. Keras: ``keras.callbacks.History``.

    Attributes:
        history: ``{"loss": [...], "mae": [...], "val_loss": [...], ...}``, one value an epoch.
        epoch: the number of each epoch, from 0 or ``initial_epoch``.
        params: ``{"verbose", "epochs", "steps"}`` of the call.
        model: the model that was trained.
    """

    params: dict[str, Any]
    model: Any = field(repr=False)
    history: dict[str, list[float]] = field(default_factory=dict, repr=False)
    epoch: list[int] = field(default_factory=list)

    def add(self, epoch: int, logs: dict[str, float]) -> None:
        """One epoch more."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
