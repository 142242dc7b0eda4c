"""The loss and metrics of every epoch: what ``fit`` returns."""

from typing import Any

from lstm_ref.training.callbacks.callback import Callback, Logs


class History(Callback):
    """Writes down what every epoch reports. Keras: ``keras.callbacks.History``.

    ``fit`` adds one after all other callbacks, and returns it; so it also holds what they have put
    into the logs, such as "learning_rate".

    Attributes:
        history: ``{"loss": [...], "mae": [...], "val_loss": [...], ...}``, one value an epoch.
        epoch: the number of each epoch, from 0 or ``initial_epoch``.
        params: ``{"verbose", "epochs", "steps"}`` of the call.
        model: the model that was trained.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Count the epochs of this training. An object used again keeps its history."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write an epoch down."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self

    def __repr__(self) -> str:
        return f"History({len(self.epoch)} epochs of {', '.join(self.history) or 'nothing'})"
