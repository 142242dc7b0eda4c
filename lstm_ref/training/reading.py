"""What of a prediction a loss reads."""

from lstm_ref.conventions import Array
from lstm_ref.layers.stack import Pass
from lstm_ref.training.losses.base import Loss


def readable(forward: Pass, loss: Loss) -> tuple[Loss, Array]:
    """The loss, and what of a prediction it reads: the logits where Keras' does, else y."""
    if forward.logits is None:
        return loss, forward.y
    return loss.on_logits(), forward.logits
