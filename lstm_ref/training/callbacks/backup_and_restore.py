"""A fit that was killed goes on where it was, to the same bits."""

import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from lstm_ref import formats
from lstm_ref.conventions import Array
from lstm_ref.errors import ModelFormatError
from lstm_ref.formats import ModelRecord, TrainingRecord
from lstm_ref.training.callbacks.averages import add_up_from, averages
from lstm_ref.training.callbacks.callback import Begin, Callback, Logs
from lstm_ref.training.callbacks.memory import divided, joined, memories, remember
from lstm_ref.training.callbacks.save_frequency import SaveFrequency

CONFIG = {"class_name": "BackupAndRestore"}
"""The configuration in a backup: it is no model, and the layers come from the program."""

LATEST, PREVIOUS = "latest.npz", "previous.npz"
NUMBERS = {"model", "epoch", "step", "averages", "stopped", "callbacks"}


class Backup(NamedTuple):
    """What is in the file.

    Attributes:
        weights: of the model, by name.
        arrays, numbers: what its training remembers, see `Trainer.training_state`.
        begin: the next step.
        averages: what the epoch has added up so far; None between epochs.
        stopped: whether a callback had ended the training.
        callbacks: what the callbacks remember, by name.
    """

    weights: dict[str, Array]
    arrays: dict[str, Array]
    numbers: dict[str, Any]
    begin: Begin
    averages: list[dict[str, Any]] | None
    stopped: bool
    callbacks: dict[str, Any]


class BackupAndRestore(Callback):
    """Keep a fit in a file, and go on from it. Keras: ``keras.callbacks.BackupAndRestore``.

    Where the file is there when ``fit`` begins, the fit goes on from it, whatever its
    ``initial_epoch``. The model, its optimizer, the order of the data, dropout and the other
    callbacks are as they were, so that the result is the same to the last bit. The program must be
    the same one, with the same data and callbacks; for an iterator as data, it must go on from
    where it was by itself. The history that ``fit`` returns begins with the first epoch that ended
    in it.

    It is called after all other callbacks, wherever it stands among them, so that it keeps what
    they have done. In Keras only weights, optimizer and epoch are kept, and an epoch begins anew.

    Args:
        backup_dir: a folder, which is made, and which nothing else uses.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: keep the backup before the last one as well, for a last one that a
            broken disk has damaged. A fit that is killed does not damage it.
        delete_checkpoint: delete the backup when the training has ended. (Keras deletes the whole
            folder; here, what else is in it stays.)

    Raises:
        ValueError: no folder is named, or another ``save_freq``; and in ``fit``, other callbacks
            or weights than those of the backup.
        ModelFormatError: in ``fit``, a file that is broken or no backup.
        OSError: in ``fit``, a folder or a file that cannot be made.

    Warns:
        UserWarning: the last backup is damaged, and the one before it is used.
    """

    comes_last = True

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not backup_dir:
            raise ValueError(
                f"BackupAndRestore(backup_dir={backup_dir!r}): the name of a folder is needed"
            )
        self.backup_dir = os.fspath(backup_dir)
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._frequency = SaveFrequency(save_freq, "BackupAndRestore")
        self._folder = Path(backup_dir)
        self._fellows: list[Callback] = [self]
        self._current_epoch = 0
        self._due = False
        self._within: Backup | None = None  # an epoch that goes on

    @property
    def save_freq(self) -> str | int:
        """When it saves: "epoch", or a number of batches."""
        return self._frequency.save_freq

    def set_fellows(self, callbacks: Sequence[Callback]) -> None:
        """Take down whose memory is to be kept."""
        self._fellows = list(callbacks)

    def acts_at(self, moment: str) -> bool:
        """See `Callback.acts_at`: batches concern it only where they are counted."""
        counts = not self._frequency.each_epoch
        return super().acts_at(moment) and (counts or moment != "on_train_batch_end")

    # Going on.

    def first_step(self, begin: Begin) -> Begin:
        """Go on from the file, if there is one."""
        self._due = False
        self._folder.mkdir(parents=True, exist_ok=True)
        backup = self._read()
        if backup is None:
            return begin
        self._restore(backup)
        if backup.stopped:
            self.model.stop_training = True
            return Begin(max(backup.begin.epoch, (self.params or {}).get("epochs", 0)))
        self._within = backup if backup.begin.step else None
        return backup.begin

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Take back what callbacks did at the beginning of an epoch that had begun before."""
        self._current_epoch = epoch
        if self._within is not None:
            self._restore(self._within)
            self._within = None

    def _restore(self, backup: Backup) -> None:
        needed = {name: weight.shape for name, weight in self.model.named_weights().items()}
        kept = {name: weight.shape for name, weight in backup.weights.items()}
        if list(needed.items()) != list(kept.items()):
            raise ValueError(
                f"the backup in {self.backup_dir!r} has the weights {kept}, and the model has "
                f"{needed}: it goes on with the same model. Layers count up their names within one "
                "program: name them, or call clear_session() before the model is made again. To "
                "begin from nothing, delete the folder"
            )
        self.model.set_weights(list(backup.weights.values()))
        self.model.restore_training_state(backup.arrays, backup.numbers)
        if backup.averages is not None:
            add_up_from(self.model.report, backup.averages)
        remember(self._fellows, backup.callbacks)

    def _read(self) -> Backup | None:
        latest, previous = self._folder / LATEST, self._folder / PREVIOUS
        if not latest.exists():  # also: killed between the two steps of `_save`
            return read(previous) if previous.exists() else None
        try:
            return read(latest)
        except (ModelFormatError, OSError) as error:
            if not previous.exists():
                raise
            warnings.warn(f"{error}; the backup before it is used", stacklevel=2)
            backup = read(previous)
            previous.replace(latest)  # so that the next one does not replace the only good one
            return backup

    # Saving.

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Save, when it is time. Where this was the last batch, it is when the epoch has ended."""
        self._due = self._due or self._frequency.due(batch)
        is_last = self.model.stop_training or batch + 1 == (self.params or {}).get("steps")
        if self._due and not is_last:
            self._save(Begin(self._current_epoch, batch + 1))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Save, when it is time."""
        if self._due or self._frequency.each_epoch:
            self._save(Begin(epoch + 1))

    def _save(self, begin: Begin) -> None:
        self._due = False
        state = self.model.training_state()
        arrays: dict[str, Array] = {}
        numbers = {
            "model": state.numbers,
            "epoch": begin.epoch,
            "step": begin.step,
            "averages": divided(averages(self.model.report), arrays) if begin.step else None,
            "stopped": bool(self.model.stop_training),
            "callbacks": divided(memories(self._fellows), arrays),
        }
        arrays |= {f"model/{name}": array for name, array in state.arrays.items()}
        record = ModelRecord(
            CONFIG, self.model.named_weights(), training=TrainingRecord(arrays, numbers)
        )
        latest = self._folder / LATEST
        if self.double_checkpoint and latest.exists():
            latest.replace(self._folder / PREVIOUS)
        formats.write(latest, record)

    def on_train_end(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Delete the files, and the folder where nothing else is in it."""
        if self.delete_checkpoint:
            left = self._folder.glob(".lstm_ref-*.tmp")  # of a fit that was killed while it wrote
            for file in (self._folder / LATEST, self._folder / PREVIOUS, *left):
                file.unlink(missing_ok=True)
            with suppress(OSError):
                self._folder.rmdir()

    def get_state(self) -> dict[str, Any]:
        """See `Callback.get_state`."""
        return self._frequency.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """See `Callback.set_state`."""
        self._frequency.set_state(state)


def read(path: Path) -> Backup:
    """The backup in a file.

    Raises:
        ModelFormatError: something else.
        OSError: it cannot be read.
    """
    record = formats.read(path)
    training = record.training
    if record.config != CONFIG or training is None or set(training.numbers) != NUMBERS:
        raise ModelFormatError(f"{path} is not what BackupAndRestore writes")
    numbers, arrays = training.numbers, training.arrays
    begin = Begin(numbers["epoch"], numbers["step"])
    for number in begin:
        if not isinstance(number, int) or number < 0:
            raise ModelFormatError(f"{path}: there is no epoch or batch {number!r}")
    return Backup(
        record.weights,
        {n.removeprefix("model/"): a for n, a in arrays.items() if n.startswith("model/")},
        numbers["model"],
        begin,
        joined(numbers["averages"], arrays),
        bool(numbers["stopped"]),
        joined(numbers["callbacks"], arrays),
    )
