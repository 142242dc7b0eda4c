"""``keras.preprocessing.sequence``: ``from lstm_ref.preprocessing.sequence import pad_sequences``."""

from lstm_ref.sequences import pad_sequences

__all__ = ["pad_sequences"]
