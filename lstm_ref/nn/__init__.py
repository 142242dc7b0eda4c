"""PyTorch's modules over the functional core: names, arguments, defaults and layouts are PyTorch's.

One module a file. What is common to them is in `module`, and what the two recurrent ones share in
`recurrent`. They take and give NumPy arrays; a dtype that is not given is `lstm_ref.floatx`.

A module computes with pure functions: ``forward(..., keep_cache=True)`` gives what a call gives and
a cache, ``backward`` takes gradients of the same form and the cache. One step of training::

    y, cache = linear.forward(x, keep_cache=True)
    d_x, gradients = linear.backward(d_y, cache)
    for name, weight in linear.named_parameters():
        setattr(linear, name, weight - rate * gradients[name])
"""

from lstm_ref.nn.linear import Linear
from lstm_ref.nn.lstm import LSTM
from lstm_ref.nn.lstm_cell import LSTMCell
from lstm_ref.nn.module import IncompatibleKeys, Module, ModuleShapeError

__all__ = ["LSTM", "IncompatibleKeys", "LSTMCell", "Linear", "Module", "ModuleShapeError"]
