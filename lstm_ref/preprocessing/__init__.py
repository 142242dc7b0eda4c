"""``keras.preprocessing``, the part that prepares sequences."""

from lstm_ref.preprocessing import sequence

__all__ = ["sequence"]
