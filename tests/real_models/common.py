"""What the tests of real models share: their files, their tolerance, and gates in a wrong order."""

import json
from collections.abc import Mapping
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from lstm_ref.conventions import GATES
from lstm_ref.layouts import reorder
from tests.peers import require_models

Outputs = dict[str, tuple[Any, np.ndarray]]
"""What lstm_ref gives and what the model's own framework gave, by what it is."""

RIGHT_ORDER = "".join(GATES)


def _swapped(first: str, second: str) -> str:
    return RIGHT_ORDER.translate(str.maketrans(first + second, second + first))


WRONG_ORDERS = [_swapped(*pair) for pair in combinations(GATES, 2)]
"""The orders in which two gates have changed places."""


def gates_in(order: str, weights: np.ndarray, axis: int = -1) -> np.ndarray:
    """Weights whose blocks stand in the order of `GATES`, in another one."""
    return reorder(weights, GATES, order, axis)


@cache
def golden(model: str) -> Mapping[str, np.ndarray]:
    """The inputs of a model and the outputs of its own framework."""
    with np.load(require_models() / model / "io.npz") as arrays:
        return dict(arrays)


@cache
def read_json(model: str, file: str) -> Any:
    """A JSON file of a model."""
    return json.loads((require_models() / model / file).read_text("utf-8"))


def close(got: Any, expected: np.ndarray) -> bool:
    """Within the tolerance that the models' folder states.

    Their weights are not contractive, so float32 parts further than where they are.
    """
    assert got.shape == expected.shape, f"{got.shape} instead of {expected.shape}"
    assert got.dtype == np.float32
    return np.allclose(got, expected, rtol=1e-5, atol=3e-5)
