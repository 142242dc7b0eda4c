"""From the loss to the gradients and the new weights: where one is not finite, the loss being so.

An LSTM can predict well and have gradients that are too large for float32: they grow on the way
back as states grow on the way forward. The update then makes the weights NaN, and the next batch
has a loss of NaN whose cause is gone.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lstm_ref.conventions import GATES, Array, split_gates
from lstm_ref.layers import Layer, TimeDistributed
from lstm_ref.layers.stack import Backward, Pass
from lstm_ref.training.batches import Batch
from lstm_ref.training.diagnosis.causes import SMALLER_STEPS, largest, largest_weight
from lstm_ref.training.diagnosis.forward import (
    Found,
    bad_entry,
    find_non_finite,
    left_as_it_was,
    origin_of,
)
from lstm_ref.training.diagnosis.origin import Origin
from lstm_ref.training.diagnosis.search import Group, Spot, first_of_each_row
from lstm_ref.training.losses import Loss
from lstm_ref.training.through_time import cell_gradients, way_back


def explain_bad_update(
    model: Any,
    batch: Batch,
    loss: Loss,
    new_weights: Mapping[str, Array],
    forward: Pass | None = None,
) -> str:
    """`find_bad_update` as a sentence."""
    return str(find_bad_update(model, batch, loss, new_weights, forward))


@np.errstate(all="ignore")
def find_bad_update(
    model: Any,
    batch: Batch,
    loss: Loss,
    new_weights: Mapping[str, Array],
    forward: Pass | None = None,
) -> Origin:
    """Where the first number arose that made new weights NaN or infinite.

    Args:
        model: a `Sequential`, with the weights before the update.
        batch, loss: what the update was learned from.
        new_weights: by name, with a number that is not finite.
        forward: the pass that predicted the batch, with what was kept of it; without it the batch
            is run again, as in `find_non_finite`, with the caches of all layers. Backpropagation
            that was truncated is looked at whole.

    Raises:
        ValueError: the new weights are finite.
    """
    if (made := bad_entry(new_weights, "", "new weight", "")) is None:
        raise ValueError("find_bad_update looks for what made new weights NaN, and they are finite")
    if forward is None or not forward.kept:
        with left_as_it_was(model):
            forward = model.run(batch.x, True, True, link=loss.link)
    value = model.judged(batch, forward, loss).value
    symptom = f"the loss is {value:.3g}, and its update makes the weight {made.weight} {made.value}"
    if not math.isfinite(value):  # it arose on the way there
        return replace(find_non_finite(model, batch, loss, forward), symptom=symptom)
    gradients: dict[str, Array] = {}
    for back in way_back(model, batch, loss, forward):
        for group in _groups(back):
            spots = sorted(first_of_each_row(group), key=lambda spot: (spot.when, spot.row))
            if spots:
                found = Found(back.layer, spots[0], _cause(spots[0]), (0, 0))
                return origin_of(found, symptom, batch)
        of_layer = {f"{back.layer.name}/{name}": g for name, g in back.weights.items()}
        for arrays, cause in ((of_layer, SUMMED), (_of_penalties(back.layer), PENALIZED)):
            if (entry := bad_entry(arrays, symptom, "gradient", cause)) is not None:
                return entry
        gradients |= of_layer
    gradient = gradients[str(made.weight)]
    cause = (
        f"Its gradient is finite, {gradient[made.index]:.3g} there and up to "
        f"{largest(gradient):.3g} elsewhere, and the optimizer's step from it is not: "
        f"{SMALLER_STEPS}"
    )
    return replace(made, symptom=symptom, cause=cause)


SUMMED = (
    "The gradients of all rows and steps are finite, and the sum of what they give is not: "
    f"{SMALLER_STEPS}"
)
PENALIZED = f"The regularizer of the weight makes it: {SMALLER_STEPS}"


def _of_penalties(layer: Layer) -> dict[str, Array]:
    """The gradients of the penalties on the weights."""
    return {
        f"{layer.name}/{name}": regularizer.gradient(layer.params[name])
        for name, regularizer in layer.regularized().items()
    }


def _groups(back: Backward) -> Iterator[Group]:
    """The gradients in a layer, in the order of the way back: the last step first."""
    yield Group({"d_y": back.d_y})
    for run, of in cell_gradients(back.layer, back.d_y, back.cache):
        d_z = {f"d_z_{n}": d for n, d in zip(GATES, split_gates(of.d_z), strict=True)}
        arrays = {name: d[:, ::-1] for name, d in {"d_h": of.d_h, "d_c": of.d_c, **d_z}.items()}
        if isinstance(back.layer, TimeDistributed):
            B, T = back.d_y.shape[:2]
            arrays = {name: d.reshape(B, T, *d.shape[1:]) for name, d in arrays.items()}
        yield Group(arrays, run, backwards=not run.backwards)
    yield Group({"d_x": back.d_x})


def _cause(spot: Spot) -> str:
    """Why a gradient is not finite although all that it was computed from is."""
    dtype = spot.group.arrays[spot.quantity].dtype
    if spot.group.run is None:
        return f"It is too large for {dtype}: {SMALLER_STEPS}"
    *outer, n = spot.at
    row = {name: spot.group.arrays[name][(spot.row, *outer)] for name in ("d_h", "d_c")}  # [T,H]
    begin = "It is so at once"
    if n:
        sizes = (
            f"|{name}| was up to {largest(d[0]):.3g} at step {spot.step_of(0)} and "
            f"{largest(d[n - 1]):.3g} at step {spot.step_of(n - 1)}"
            for name, d in row.items()
        )
        begin = f"In this row {', '.join(sizes)}"
    weights = largest_weight(vars(spot.group.run.cache.params))
    return f"It is too large for {dtype}. {begin}. {weights}"
