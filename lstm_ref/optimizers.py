"""``keras.optimizers``: ``from lstm_ref.optimizers import SGD, Adam, RMSprop``."""

from lstm_ref.training.optimizers import SGD, Adam, Optimizer, RMSprop, get, serialize

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get", "serialize"]
