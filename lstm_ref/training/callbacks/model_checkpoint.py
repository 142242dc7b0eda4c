"""The model in a file, after every epoch or the best ones."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from lstm_ref import formats
from lstm_ref.errors import UnsupportedError
from lstm_ref.training.callbacks.callback import Logs
from lstm_ref.training.callbacks.monitor import MonitorCallback, available
from lstm_ref.training.callbacks.save_frequency import SaveFrequency
from lstm_ref.training.progress import say


class ModelCheckpoint(MonitorCallback):
    """Save the model, or its weights, while it is trained. Keras: ``ModelCheckpoint``.

    Every file is whole or absent, whatever happens meanwhile: an older one of the same name is
    there until the new one is complete.

    Args:
        filepath: of the files, with fields for what differs: ``"{epoch:02d}-{val_loss:.2f}.npz"``.
            There are "epoch" and, where saving is not after epochs, "batch", both counted from 1,
            and all names in the logs. Folders are made where they are missing.
        monitor, mode: see `MonitorCallback`.
        verbose: 1 writes a line each time.
        save_best_only: save only when the number that is watched is better than ever.
        save_weights_only: save the weights with ``model.save_weights`` instead of everything with
            ``model.save``; the name must end in ".weights.npz" then.
        save_freq: "epoch", or a number of batches. The number that is watched is then the average
            over the epoch so far.
        initial_value_threshold: with ``save_best_only``, what is not better is not saved.

    Attributes:
        best: the best value so far. It outlives a ``fit``.

    Raises:
        UnsupportedError: a suffix of another format.
        ValueError: another ``save_freq``; and in ``fit``, a direction that is not known.
        KeyError: in ``fit``, a field of the name that is not in the logs.

    Warns:
        UserWarning: the logs have no such number, or it is no number; the model is saved then.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        check_suffix(self.filepath, save_weights_only)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self._frequency = SaveFrequency(save_freq, "ModelCheckpoint")
        self._current_epoch = 0

    @property
    def save_freq(self) -> str | int:
        """When it saves: "epoch", or a number of batches."""
        return self._frequency.save_freq

    def acts_at(self, moment: str) -> bool:
        """See `Callback.acts_at`: batches concern it only where they are counted."""
        counts = not self._frequency.each_epoch
        return super().acts_at(moment) and (counts or moment != "on_train_batch_end")

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Take down the epoch."""
        self._current_epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Save, when it is time."""
        if self._frequency.due(batch):
            self._save_model(self._current_epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save, when it is time."""
        if self._frequency.each_epoch:
            self._save_model(epoch, None, logs or {})

    def _save_model(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> None:
        path = self._path(epoch, batch, logs)
        if not self._should_save(epoch, logs, path):
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        self._say(epoch, f"finished saving model to {path}")

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        """The name of the file, its fields filled in."""
        fields = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            return self.filepath.format(**fields)
        except (KeyError, IndexError) as error:
            raise KeyError(
                f"ModelCheckpoint(filepath={self.filepath!r}): there is no {error} to put into "
                f"the name; there are {', '.join(fields)}"
            ) from error

    def _should_save(self, epoch: int, logs: dict[str, Any], path: str) -> bool:
        """Whether the model is to be saved; says why."""
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Can save best model only with {self.monitor} available. The model is saved all "
                f"the same; available are {available(logs)}",
                stacklevel=2,
            )
            return True
        if np.ndim(current):
            warnings.warn(
                f"Can save best model only when `monitor` is a scalar value, and {self.monitor} "
                f"is {current}. The model is saved all the same",
                stacklevel=2,
            )
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            self._say(epoch, f"{self.monitor} did not improve from {best}")
            return False
        self._say(
            epoch, f"{self.monitor} improved from {best} to {current:.5f}, saving model to {path}"
        )
        self.best = current
        return True

    def _say(self, epoch: int, sentence: str) -> None:
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: {sentence}")

    def get_state(self) -> dict[str, Any]:
        """See `Callback.get_state`."""
        return {"best": self.best, **self._frequency.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """See `Callback.set_state`."""
        self.best = state["best"]
        self._frequency.set_state(state)


def check_suffix(path: str, weights_only: bool) -> None:
    """Raise for a name that cannot be written.

    Raises:
        UnsupportedError: a suffix of another format.
    """
    suffixes = [f".weights{suffix}" if weights_only else suffix for suffix in formats.FORMATS]
    if not path.lower().endswith(tuple(suffixes)):
        only = ", save_weights_only=True" if weights_only else ""
        raise UnsupportedError(
            f"ModelCheckpoint(filepath={path!r}{only}): the name must end in "
            f"{' or '.join(suffixes)}"
        )
