"""``keras.utils``: padding, classes as columns, batches, the random seed, and layers' names."""

from lstm_ref.layers.session import clear_session, set_random_seed
from lstm_ref.sequences import pad_sequences
from lstm_ref.training.labels import to_categorical
from lstm_ref.training.py_dataset import PyDataset

__all__ = ["PyDataset", "clear_session", "pad_sequences", "set_random_seed", "to_categorical"]
