"""The sizes that the loops and the layout of their buffers share, each of them once.

``packing`` lays weights out by them without Numba; the loops have them compiled in.
"""

VECTOR_BYTES = 64
"""A vector: 16 float32 or 8 float64, one register of AVX-512, two of AVX2."""

PANEL_VECTORS = 4
"""Vectors side by side in a wide panel: for an LSTM, one of each gate of the same units."""

TILE_ROWS = 6
"""Rows of the largest tile on a wide panel: 24 accumulators of the processor's 32 registers."""

CUT_ROWS = 2
"""Where threads share the rows of a batch, blocks begin at multiples of it.

A tile of one row takes nearly as long as one of two.
"""

NARROW_ROWS = 8
"""Rows of the largest tile on a panel of one vector: fewer, and each sum waits for itself."""

NARROW_COST = 1.3
"""What a column costs in narrow panels, beside one in wide panels that are full."""

K_BLOCK = 256
"""How many terms of a long sum are taken before moving on, so that a panel stays in the cache."""

GROUP = 8
"""Vectors of hidden units worked on at a time: enough for the activations to run at full speed.

They are rows of a batch, or, when the batch has few rows, panels of the same row.
"""

STEPS = 2 * TILE_ROWS
"""Time steps whose x W is taken at once when the batch is smaller than a tile.

Then the rows of the tile are time steps, and W is read once for six of them. h U cannot be had so:
each step needs the one before.
"""
