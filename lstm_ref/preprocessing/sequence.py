"""``keras.preprocessing.sequence``, for programs that import `pad_sequences` from there."""

from lstm_ref.sequences import pad_sequences

__all__ = ["pad_sequences"]
