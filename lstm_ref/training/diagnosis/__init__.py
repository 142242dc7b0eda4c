"""Where a NaN arose: the first number of a batch that is not finite, and what made it so.

A NaN shows in the loss, and comes from somewhere else: one missing value in one row, a state that
grew at every step, an update that was too large. `find_non_finite` goes through the batch again in
the order of computation and names the place; `find_bad_update` does so for the way back, where the
loss is still a number and the new weights are not. Nothing of this is done while training is well.

origin    the place, as a record and as a sentence
search    the first number that is not finite, in arrays that were computed together
causes    why a number inside an LSTM or a dense layer overflows
forward   from the weights and the input to the loss
backward  from the loss to the gradients and the new weights
"""

from lstm_ref.training.diagnosis.backward import explain_bad_update, find_bad_update
from lstm_ref.training.diagnosis.forward import explain_non_finite, find_non_finite
from lstm_ref.training.diagnosis.origin import Origin
from lstm_ref.training.diagnosis.search import all_finite

__all__ = [
    "Origin",
    "all_finite",
    "explain_bad_update",
    "explain_non_finite",
    "find_bad_update",
    "find_non_finite",
]
