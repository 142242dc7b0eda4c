"""When to save: after every epoch, or after so many batches."""

from typing import Any

from lstm_ref.training.numbers import whole_number


class SaveFrequency:
    """Counts batches over the ends of epochs, as Keras does.

    Args:
        save_freq: "epoch", or a number of batches.
        owner: the name of the callback, for messages.

    Raises:
        ValueError: something else.
    """

    def __init__(self, save_freq: Any, owner: str) -> None:
        if save_freq != "epoch":
            try:
                save_freq = whole_number(save_freq, "save_freq")
            except ValueError:
                raise ValueError(
                    f"{owner}(save_freq={save_freq!r}): 'epoch' is needed, or a positive whole "
                    "number of batches"
                ) from None
        self.save_freq: str | int = save_freq
        self.waiting = 0
        """Batches since the last time."""
        self.last: int | None = None
        """The number of the last batch within its epoch."""

    @property
    def each_epoch(self) -> bool:
        """Whether it is the ends of epochs that count."""
        return self.save_freq == "epoch"

    def due(self, batch: int) -> bool:
        """Whether to save after this batch, which is the next one that ended."""
        if isinstance(self.save_freq, str):
            return False
        in_new_epoch = self.last is None or batch <= self.last
        self.waiting += batch + 1 if in_new_epoch else batch - (self.last or 0)
        self.last = batch
        if self.waiting < self.save_freq:
            return False
        self.waiting = 0
        return True

    def get_state(self) -> dict[str, Any]:
        """What it counts."""
        return {"waiting": self.waiting, "last": self.last}

    def set_state(self, state: dict[str, Any]) -> None:
        """Count on from there."""
        self.waiting, self.last = state["waiting"], state["last"]
