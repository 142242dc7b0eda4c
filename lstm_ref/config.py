"""``keras.config``: the dtype of layers that are not told theirs; and the number of threads."""

from lstm_ref.layers.session import floatx, set_floatx
from lstm_ref.threads import set_threads, threads

__all__ = ["floatx", "set_floatx", "set_threads", "threads"]
