"""The Numba twins of ``lstm_ref.spec``: same names, same arguments, same results, made to be fast.

``lstm``, ``dense``, ``softmax`` and ``activations`` hold the twins: they take NumPy arrays, lay the
weights out as the loops want them (``packing``), call the compiled loops (``runtime``) and give
arrays back. What is compiled lies in ``loops``. Only ``lstm_ref.backend`` comes in here.
"""
