"""The specification: the LSTM in plain NumPy, one function per idea, to be read top to bottom.

Readability wins here over speed, always. Read in this order: ``activations`` (σ and φ; tanh and
sigmoid are enough at first), ``cell`` (one time step), ``lstm`` (a whole sequence, with masks),
``dense`` (the head), ``softmax`` (classes), ``parameters`` (the records they take and give).
"""
