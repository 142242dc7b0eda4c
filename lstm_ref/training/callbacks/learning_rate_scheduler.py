"""The learning rate of each epoch, from a function."""

import inspect
from collections.abc import Callable

import numpy as np

from lstm_ref.training.callbacks.callback import Callback, Logs
from lstm_ref.training.progress import say


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch. Keras: ``LearningRateScheduler``.

    The learning rate of each epoch stands in its logs as "learning_rate". For one that changes
    with every batch, give the optimizer a schedule, `lstm_ref.optimizers.schedules`, instead.

    Args:
        schedule: ``schedule(epoch, learning_rate)`` or ``schedule(epoch)``, which gives the new
            learning rate as a float.
        verbose: 1 writes a line each time.

    Raises:
        ValueError: in ``fit``, when the schedule gives something else than a float.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule = schedule
        self.verbose = verbose
        self._reads_learning_rate = takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Set it."""
        optimizer = self.model.optimizer
        old = (float(optimizer.learning_rate),) if self._reads_learning_rate else ()
        new = self.schedule(epoch, *old)
        if not isinstance(new, float | np.float32):
            raise ValueError(
                f"the schedule of a LearningRateScheduler gave {new!r} for epoch {epoch}: a float "
                "is needed, so a whole number is written 1.0"
            )
        optimizer.learning_rate = new
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {new}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Put it into the logs."""
        if logs:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def takes_two(function: Callable[..., object]) -> bool:
    """Whether a function can be called with two arguments; True where it does not say."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True
