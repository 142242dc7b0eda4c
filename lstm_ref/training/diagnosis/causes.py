"""Why a number is not finite: which sum or activation became larger than its dtype holds."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm_ref.backend import activate
from lstm_ref.conventions import Array
from lstm_ref.layers import Dense, Layer
from lstm_ref.spec.activations import ActivationId
from lstm_ref.spec.lstm import before_each_step
from lstm_ref.spec.parameters import LSTMCache
from lstm_ref.training.diagnosis.search import Spot

SMALLER_STEPS = "a lower learning_rate, or clipped gradients (clipnorm=1.0), keep the weights small"

WEIGHT = (
    "It was so before this batch: the weight was set or loaded like this, or trained with steps "
    f"that were too large; {SMALLER_STEPS}"
)
INPUT = (
    "The data hold it, in the row of that number. A missing value needs a number in its place, and "
    "a step that is padding a mask: Masking(mask_value) as the first layer, with x padded by "
    "mask_value there"
)
CONVERTED = "What the layer before it gives is too large for the dtype of this one"
INITIAL_STATE = (
    "It is the state with which the batch before ended, and a stateful layer goes on from it: "
    "reset_states() begins anew"
)

LARGE_INPUT = 1e6
"""An input above this is named as the cause: nobody scaled it."""

BOUND = 1e3
"""An activation that stays below this for ±1e6 is called bounded."""


def forward_cause(layer: Layer, spot: Spot) -> str:
    """Why a number is not finite although all that it was computed from is."""
    group, quantity = spot.group, spot.quantity
    dtype = group.arrays[quantity].dtype
    if group.run is not None:
        if quantity in ("h0", "c0"):
            return INITIAL_STATE
        return _in_cell(group.run.cache, spot)
    if quantity == "x":
        return CONVERTED
    if isinstance(layer, Dense):
        if quantity == "z":
            return f"h W + b is too large for {dtype}. {_too_large(layer.params)}"
        return _activation(layer.activation, spot.beside("z"), dtype)
    return f"The layer gives what is too large for {dtype}"


def _in_cell(cache: LSTMCache, spot: Spot) -> str:
    """Why a number inside an LSTM is not finite."""
    config, dtype, q = cache.config, cache.c.dtype, spot.quantity
    if q in ("i", "f", "g", "o"):
        act = config.activation if q == "g" else config.recurrent_activation
        return _activation(act, spot.beside(f"z_{q}"), dtype)
    formula = {"c": "f·c + i·g", "h": "o·φ(c)"}.get(q, "x W + h U + b")
    return f"{formula} is too large for {dtype}: {_history(cache, spot)}"


def _activation(act: ActivationId, z: float, dtype: np.dtype[Any]) -> str:
    return f"{_name(act)}({z:.3g}) is too large for {dtype}: {SMALLER_STEPS}"


def _history(cache: LSTMCache, spot: Spot) -> str:
    """How large the states of the row were on the way there, and what follows from it."""
    row, n = spot.row_of_cell, spot.at[-1]
    x = largest(cache.x[row, : n + 1])
    real = slice(n) if cache.mask is None else cache.mask[row, :n]
    steps = np.arange(n)[real]
    if not len(steps):
        h = largest(before_each_step(cache.h0, cache.h)[row, n])
        sizes = f"at this first step, |x| is up to {x:.3g} and |h| before it up to {h:.3g}"
        return f"{sizes}. {_too_large(vars(cache.params), x)}"
    grown = [
        f"|{name}| was up to {largest(states[row, steps[0]]):.3g} at step "
        f"{spot.step_of(steps[0])} and {largest(states[row, steps[-1]]):.3g} at step "
        f"{spot.step_of(steps[-1])}"
        for name, states in (("c", cache.c), ("h", cache.h))
    ]
    return f"in this row {', '.join(grown)}. {_too_large(vars(cache.params), x, cache)}"


def _too_large(
    weights: Mapping[str, Array | None], x: float = 0.0, cache: LSTMCache | None = None
) -> str:
    """What helps: a smaller input, an activation with a bound, or smaller weights."""
    if x > max(LARGE_INPUT, *(largest(w) for w in weights.values() if w is not None)):
        return f"The input is up to {x:.3g}: scale it, to about 1"
    if cache is None or _is_bounded(cache.config.activation):
        return largest_weight(weights)
    return (
        f"{_name(cache.config.activation)} has no bound, so the state can grow from step to step, "
        f"and with activation='tanh' it cannot. {largest_weight(weights)}"
    )


def largest_weight(weights: Mapping[str, Array | None]) -> str:
    """How large the weights are, and how they stay small."""
    sizes = {name: largest(weight) for name, weight in weights.items() if weight is not None}
    name = max(sizes, key=lambda key: sizes[key])
    return f"The weights are up to {sizes[name]:.3g}, in {name}: {SMALLER_STEPS}"


def largest(values: Array) -> float:
    """The size of the largest number."""
    return float(np.max(np.abs(values), initial=0))


def _name(act: ActivationId) -> str:
    return act if isinstance(act, str) else str(act[0])


def _is_bounded(act: ActivationId) -> bool:
    """Whether an activation stays small for large numbers of both signs."""
    ends = activate(act, np.array([-1e6, 1e6]), backend="numpy")
    return bool(np.all(np.abs(ends) < BOUND))
