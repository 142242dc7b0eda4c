"""``keras.models``: ``from lstm_ref.models import Sequential, load_model``."""

from lstm_ref.model import Sequential, load_model

__all__ = ["Sequential", "load_model"]
