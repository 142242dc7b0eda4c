"""Ends a training whose loss is no number."""

import math

from lstm_ref.training.callbacks.callback import Callback, Logs
from lstm_ref.training.progress import say


class TerminateOnNaN(Callback):
    """Stop at a loss that is NaN or infinite. Keras: ``keras.callbacks.TerminateOnNaN``.

    ``fit`` raises an error at such a loss that says where it came from, unless this callback is
    there, which ends the training as if it were finished.

    Args:
        raise_error: raise instead, so that no callback takes the training for finished.

    Raises:
        RuntimeError: in ``fit``, with ``raise_error``.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}, where it is {loss}; without a "
                "TerminateOnNaN, fit says where a NaN began"
            )
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
