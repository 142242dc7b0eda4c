"""What Numba compiles: the loops, in functions that could be C.

They work on buffers handed to them, allocate nothing, raise nothing, and take a flat list of
pointers and sizes; every check has been made before, in Python. Read in this order: ``vector``
(the machine's operations), ``scalar`` (exp and its relatives), ``activations``, ``product``
(the register tile every matrix product is made of), ``lstm``. Importing these
imports Numba; ``kernels.runtime`` does so only when something must be compiled. ``plain``, which
needs no Numba, stands in for ``vector`` when the JIT is off.
"""
