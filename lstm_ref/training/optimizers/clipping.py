"""Gradients made smaller where they are too large: one gradient, one number, or all together.

The formulas are those of ``keras.optimizers``, and each rounds as its does: ``clipnorm`` and
``global_clipnorm`` divide in another order. Sums are NumPy's, whose order depends on nothing but
the shape.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm_ref.conventions import Array


def by_norm(g: Array, c: float) -> Array:
    """``g · c / max(‖g‖, c)``: no gradient of one weight longer than c."""
    return np.asarray(g * c / np.maximum(np.sqrt(sum_of_squares(g)), c))


def by_value(g: Array, c: float) -> Array:
    """``min(max(g, −c), c)``: no number of a gradient above c or below −c."""
    return np.clip(g, -c, c)


def by_global_norm(gradients: Mapping[str, Array], c: float) -> dict[str, Array]:
    """``g · c · min(1/‖·‖, 1/c)``, with the norm over all gradients as if they were one vector.

    A norm that is infinite or NaN makes every gradient NaN, as in Keras.
    """
    norm = np.sqrt(np.sum([sum_of_squares(g) for g in gradients.values()]))
    factor = c * np.minimum(1 / norm, 1 / c) + (norm - norm)
    return {name: g * g.dtype.type(factor) for name, g in gradients.items()}


def sum_of_squares(g: Array) -> Any:
    """Σg² in the dtype of g."""
    return np.sum(g * g)
