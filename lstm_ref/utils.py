"""``keras.utils``: padding, the random seed, and the names of layers."""

from lstm_ref.layers.session import clear_session, set_random_seed
from lstm_ref.sequences import pad_sequences

__all__ = ["clear_session", "pad_sequences", "set_random_seed"]
