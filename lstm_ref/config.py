"""``keras.config``: the dtype of layers that are not told theirs."""

from lstm_ref.layers.session import floatx, set_floatx

__all__ = ["floatx", "set_floatx"]
