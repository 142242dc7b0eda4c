"""What of a prediction a loss reads."""

from typing import NamedTuple

from lstm_ref.conventions import Array
from lstm_ref.layers.stack import Pass
from lstm_ref.training.losses.base import Loss


class Reading(NamedTuple):
    """A loss, and the numbers of a prediction that it reads.

    Attributes:
        loss: of those numbers.
        of: [B,T,K] or [B,K]: the logits where Keras' loss reads those, else the prediction itself.
        from_logits: whether it is the logits.
    """

    loss: Loss
    of: Array
    from_logits: bool


def reading(forward: Pass, loss: Loss) -> Reading:
    """What the loss reads of a pass; the logits where the pass has them."""
    if forward.logits is None:
        return Reading(loss, forward.y, from_logits=False)
    return Reading(loss.on_logits(), forward.logits, from_logits=True)
