"""What every callback is: the moments at which it may act, and what it remembers."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

Logs = dict[str, Any] | None
"""The averages so far, {"loss": 0.25, "mae": ...}; None or empty where there are none."""

OTHER_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}
"""Moments that a callback may also define under an older name."""


class Begin(NamedTuple):
    """Where ``fit`` begins.

    Attributes:
        epoch: the number of its first epoch.
        step: the number of the first batch in that epoch; all later epochs begin with batch 0.
    """

    epoch: int
    step: int = 0


class Callback:
    """Acts while a model is trained, evaluated or used. Keras: ``keras.callbacks.Callback``.

    A callback of one's own defines the methods ``on_...`` of the moments that concern it; the
    others cost nothing. ``fit`` calls them in this order::

        on_train_begin
            on_epoch_begin                  each epoch
                on_train_batch_begin        each batch
                on_train_batch_end
                on_test_begin               where there is validation data
                    on_test_batch_begin
                    on_test_batch_end
                on_test_end
            on_epoch_end
        on_train_end

    ``logs`` holds the averages of this epoch so far; after a validation also ``"val_loss"`` and
    its like. Every callback sees what those before it have put in. A callback that sets
    ``self.model.stop_training = True`` ends the training: an epoch ends after that batch, with its
    validation.

    Attributes:
        params: ``{"verbose", "epochs", "steps"}`` of the call.
        model: the model that is trained.
        comes_last: whether it is called after all callbacks that are not so, wherever it stands.
    """

    params: dict[str, Any] | None = None
    model: Any = None
    comes_last: ClassVar[bool] = False

    def set_params(self, params: dict[str, Any]) -> None:
        """Told what the call was given, before it begins."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Told which model it is, before it begins."""
        self.model = model

    def set_fellows(self, callbacks: Sequence["Callback"]) -> None:
        """Told all callbacks of the call, itself among them, before it begins; Keras does not."""

    def acts_at(self, moment: str) -> bool:
        """Whether it does anything at a moment, such as "on_epoch_end". Keras has no such method.

        Asked once, before the call begins. Nobody computes logs for a moment without callbacks.
        """
        return any(
            name in vars(self) or getattr(type(self), name) is not getattr(Callback, name)
            for name in (moment, OTHER_NAMES.get(moment, moment))
        )

    # The moments.

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch, whose logs these are; not after an error or an interrupt."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch; the first one is 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Another name for `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Another name for `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch is learnt from; the first one of an epoch is 0."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch was learnt from."""
        self.on_batch_end(batch, logs=logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before an evaluation, or a validation within ``fit``."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After it."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of it."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of it."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After it."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of it."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of it; ``logs["outputs"]`` is the prediction."""

    # A fit that goes on. (Not in Keras.)

    def first_step(self, begin: Begin) -> Begin:
        """Where ``fit`` shall begin, when it would begin there; asked after `on_train_begin`."""
        return begin

    def get_state(self) -> dict[str, Any]:
        """What it remembers from one epoch to the next; empty where that is nothing.

        Values are what JSON can hold, floats of any kind, and float32 or float64 arrays.
        `BackupAndRestore` keeps it.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Remember what `get_state` gave."""
