"""The loss and metrics of every epoch in a table."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lstm_ref.training.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Write a row a epoch into a file of comma-separated values. Keras: ``CSVLogger``.

    The columns are "epoch" and the names in the logs of the first epoch, in alphabetical order;
    where there was no validation after it, those of a validation follow. What an epoch does not
    have is "NA". The file is complete after every epoch, and is not held open between them.

    Args:
        filename: of the file.
        separator: one character.
        append: go on with a file that is there; its first line is taken for the header. False
            begins it anew when the training begins.

    Raises:
        ValueError: a separator of another length.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"CSVLogger(separator={separator!r}): one character is needed")
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Begin the file, or find its end."""
        self.keys = None
        with Path(self.filename).open("a" if self.append else "w", encoding="utf-8"):
            pass

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a row."""
        logs = logs or {}
        if self.keys is None:
            self.keys = columns(logs)
        with Path(self.filename).open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=self.sep)
            if not file.tell():
                writer.writerow(["epoch", *self.keys])
            writer.writerow([epoch, *(cell(logs.get(key, "NA")) for key in self.keys)])

    def get_state(self) -> dict[str, Any]:
        """See `Callback.get_state`: a later fit that appends keeps the columns."""
        return {"keys": self.keys}

    def set_state(self, state: dict[str, Any]) -> None:
        """See `Callback.set_state`."""
        self.keys = state["keys"]


def columns(logs: dict[str, Any]) -> list[str]:
    """The names of the columns after "epoch"."""
    names = sorted(logs)
    if not any(name.startswith("val_") for name in names):
        names += [f"val_{name}" for name in names]
    return names


def cell(value: Any) -> Any:
    """What is written for a value; several numbers as ``"[1, 2]"``."""
    alone = isinstance(value, str) or (isinstance(value, np.ndarray) and value.ndim == 0)
    if isinstance(value, Iterable) and not alone:
        return f'"[{", ".join(map(str, value))}]"'
    return value
